"""Texts of callers for a terminal, which must find nothing in them to obey."""


def escaped(text: str) -> str:
    """What is no sign to be seen stands as Python writes it in a text, such as a newline."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode() for sign in text)
