"""The exception for a user's mistake."""


class UserError(ValueError):
    """A user's mistake; the message says in one line what is wrong, where, and what to do.

    ``command.run`` prints that line on stderr and exits with status 1. Under fairseq's commands
    ``plugin.exit_on_user_errors`` does the same.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).split()))

    @property
    def line(self) -> str:
        """The line that a command prints."""
        return f"fairseq_palbert: error: {self}"
