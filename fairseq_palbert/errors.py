"""The one error that stands for a user's mistake."""


class UserError(ValueError):
    """What is wrong, where, and what to do about it, in one line.

    A command's ``command.run`` turns it into that line on stderr and exit status 1; under fairseq's commands
    ``plugin.exit_on_user_errors`` does.
    """

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).split()))

    @property
    def line(self) -> str:
        """What a command tells its user."""
        return f"fairseq_palbert: error: {self}"
