"""Python values and calls as they stand in a script."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

WIDTH = 100


class Code(str):
    """An expression in Python, which stands in a script as it is."""


def literal(value: object) -> str:
    """The value in Python, text in double quotes where that needs no escapes; a list or tuple in brackets of its own."""
    if isinstance(value, Code):
        return str(value)
    if isinstance(value, str):
        text = repr(value)
        return text if '"' in value or "'" in value else f'"{text[1:-1]}"'
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    return repr(value)


def keywords(values: Mapping[str, object]) -> list[str]:
    """`name=value` of each."""
    return [f"{name}={literal(value)}" for name, value in values.items()]


def wrapped(opening: str, items: Iterable[str], closing: str) -> list[str]:
    """`opening`, items and `closing` on one line where they fit, else the items on lines of their own."""
    found = list(items)
    line = f"{opening}{', '.join(found)}{closing}"
    if len(line) <= WIDTH and "\n" not in line:
        return [line]
    indent = " " * (len(opening) - len(opening.lstrip()) + 4)
    return [opening, *_filled(found, indent), f"{indent[4:]}{closing}"]


def stacked(opening: str, items: Sequence[str], closing: str) -> list[str]:
    """On one line where they fit, else one item a line."""
    line = f"{opening}{', '.join(items)}{closing}"
    return [line] if len(line) <= WIDTH else [opening, *(f"    {item}," for item in items), closing]


def indented(lines: Iterable[str]) -> list[str]:
    """The lines one level deeper."""
    return textwrap.indent("\n".join(lines), "    ").split("\n")


def _filled(items: Sequence[str], indent: str) -> list[str]:
    lines = [indent.rstrip(" ")]
    for item in items:
        if len(lines[-1]) + len(item) + 2 > WIDTH or lines[-1] == "":
            lines.append(indent + item + ",")
        else:
            lines[-1] += f" {item},"
    return lines[1:]
