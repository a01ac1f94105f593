"""What an operator has to change before a command can go on."""


class Mistake(Exception):
    """Raised when only the operator can help; the message is one line that names what to set or to run."""
