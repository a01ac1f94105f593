"""What may be wrong at one place of a request: stable codes, each documented in docs/errors.md."""

from typing import Literal

FaultCode = Literal[
    "missing",
    "unknown_field",
    "unknown_parameter",
    "wrong_type",
    "not_allowed",
    "bad_format",
    "out_of_range",
    "not_finite",
    "too_long",
    "too_short",
    "too_large",
    "empty",
    "twice",
    "not_found",
    "not_supported",
    "invalid",
    "checkpoint_unfit",
    "missing_column",
    "missing_value",
    "wrong_length",
    "more_faults",
]
