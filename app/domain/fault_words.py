"""What is said of a fault that pydantic found: a code and a sentence of our own for each of its types of error."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from app.domain.fault_codes import FaultCode

# How pydantic writes the members of an enumeration.
_ENUM_MEMBER = re.compile(r"<\w+\.\w+: ('[^']*')>")

_TIME = "A time with its zone is expected, such as 2026-11-23T03:22:00Z."
# The sentences are filled with what pydantic tells beside the type.
_WORDS: dict[str, tuple[FaultCode, str]] = {
    "missing": ("missing", "This field is required."),
    "extra_forbidden": ("unknown_field", "There is no such field here."),
    "union_tag_not_found": ("missing", "This field, which says what kind it is, is required."),
    "union_tag_invalid": ("not_allowed", "It must be one of {expected_tags}."),
    "literal_error": ("not_allowed", "It must be {expected}."),
    "enum": ("not_allowed", "It must be {expected}."),
    "finite_number": ("not_finite", "A finite number is expected."),
    "greater_than": ("out_of_range", "It must be greater than {gt}."),
    "greater_than_equal": ("out_of_range", "It must be at least {ge}."),
    "less_than": ("out_of_range", "It must be less than {lt}."),
    "less_than_equal": ("out_of_range", "It must be at most {le}."),
    "int_parsing_size": ("out_of_range", "The number has too many digits."),
    "too_long": ("too_long", "It may have at most {max_length} entries."),
    "too_short": ("too_short", "It must have at least {min_length}, and has {actual_length}."),
    "string_too_long": ("too_long", "It may have at most {max_length} characters."),
    "string_too_short": ("too_short", "It must have at least {min_length} characters."),
    "string_pattern_mismatch": ("bad_format", "It must match the pattern {pattern}."),
    "string_type": ("wrong_type", "A text is expected."),
    "string_unicode": ("bad_format", "The text is not UTF-8."),
    "invalid_key": ("wrong_type", "A name is a text."),
    "int_type": ("wrong_type", "A whole number is expected."),
    "int_parsing": ("wrong_type", "A whole number is expected."),
    "int_from_float": ("wrong_type", "A whole number is expected."),
    "float_type": ("wrong_type", "A number is expected."),
    "float_parsing": ("wrong_type", "A number is expected."),
    "bool_type": ("wrong_type", "true or false is expected."),
    "bool_parsing": ("wrong_type", "true or false is expected."),
    "none_required": ("wrong_type", "null is expected."),
    "list_type": ("wrong_type", "A list is expected."),
    "tuple_type": ("wrong_type", "A list is expected."),
    "dict_type": ("wrong_type", "An object is expected."),
    "mapping_type": ("wrong_type", "An object is expected."),
    "model_type": ("wrong_type", "An object is expected."),
    "model_attributes_type": ("wrong_type", "An object is expected."),
    "datetime_type": ("wrong_type", _TIME),
    "datetime_parsing": ("bad_format", _TIME),
    "datetime_from_date_parsing": ("bad_format", _TIME),
    "datetime_object_invalid": ("bad_format", _TIME),
    "timezone_aware": ("bad_format", _TIME),
}
_CODES: dict[str, FaultCode] = {code: code for code in get_args(FaultCode)}


def code_and_sentence(error: Mapping[str, Any]) -> tuple[FaultCode, str]:
    """Of one error as pydantic tells it."""
    type = error["type"]
    if type in _WORDS:
        code, sentence = _WORDS[type]
        return code, sentence.format_map({name: _told(value) for name, value in error.get("ctx", {}).items()})
    if type in _CODES or type == "value_error":  # a check of our own
        return _CODES.get(type, "invalid"), f"{str(error['msg']).removeprefix('Value error, ').removesuffix('.')}."
    return "invalid", "This is not what is expected here."


def _told(value: object) -> str:
    """5.0 is told as 5."""
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    return _ENUM_MEMBER.sub(r"\1", text)


def types() -> Sequence[str]:
    """The types of error that have words."""
    return [*_WORDS]
