"""Whose certificates a connection believes."""

import ssl

import pytest

from trainyard.connection import trusted


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "HTTP://trainyard.internal"])
def test_a_service_without_certificates_has_none_read_and_none_believed(url: str) -> None:
    context = trusted(url)

    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs() == []


@pytest.mark.parametrize("url", ["https://trainyard.example", "trainyard.example"])
def test_otherwise_certificates_are_those_that_the_machine_believes(url: str) -> None:
    assert trusted(url) is True
