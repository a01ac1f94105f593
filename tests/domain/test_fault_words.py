"""The sentences about what pydantic finds: our own, filled with what it tells."""

import re
from typing import Any, get_args

import pytest
from pydantic_core import ErrorTypeInfo
from pydantic_core._pydantic_core import list_all_errors

from app.domain.fault_codes import FaultCode
from app.domain.fault_words import code_and_sentence, types
from app.domain.faults import faults_of

ALL: dict[str, ErrorTypeInfo] = {info["type"]: info for info in list_all_errors()}


def error(info: ErrorTypeInfo) -> dict[str, Any]:
    return {"type": info["type"], "msg": info["example_message_python"], "ctx": info["example_context"] or {}}


def test_every_sentence_is_for_an_error_that_there_is() -> None:
    assert set(types()) <= ALL.keys()


@pytest.mark.parametrize("type", sorted(ALL))
def test_whatever_pydantic_finds_is_told_in_a_sentence_of_our_own(type: str) -> None:
    code, sentence = code_and_sentence(error(ALL[type]))

    assert code in get_args(FaultCode)
    assert re.fullmatch(r"[A-Ztn].*[.]", sentence)
    assert not re.search(r"Input|should|valid (dictionary|tuple|list|string)|{|}|Value error", sentence)


def test_a_check_of_our_own_speaks_for_itself() -> None:
    found = {"type": "value_error", "msg": "Value error, The step must be at least 1", "ctx": {"error": ValueError()}}

    own = {"type": "bad_format", "msg": "It must be a time."}

    assert code_and_sentence(found) == ("invalid", "The step must be at least 1.")
    assert code_and_sentence(own) == ("bad_format", "It must be a time.")


def test_branches_of_a_union_are_told_as_one() -> None:
    found = [{"type": "string_type", "msg": ""}, {"type": "list_type", "msg": ""}, {"type": "tuple_type", "msg": ""}]

    [fault] = faults_of(found, lambda _: "/target")

    assert fault.detail == "A text is expected. Or: A list is expected."
