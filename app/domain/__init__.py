"""Plain Python and pydantic: the words of the product."""
