"""How custom losses are named."""

# What a custom loss is installed as, and what stands before its name.
ENTRY_POINTS, CUSTOM = "trainyard.losses", "custom:"


def is_custom(name: str) -> bool:
    """True for the name of a custom loss."""
    return name.startswith(CUSTOM)
