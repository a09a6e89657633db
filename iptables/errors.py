"""What goes wrong, as the one line that an operator reads."""


class SetupError(Exception):
    """The rules cannot be made or applied. The text says what to check; the exit status is 1."""


class UsageError(SetupError):
    """A command line that cannot be read."""
