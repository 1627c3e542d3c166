"""The exception for a user's mistake."""

LONGEST = 1000  # characters of a message; of a longer one the beginning and the end (the remedy) are kept


class UserError(ValueError):
    """A user's mistake; the message says in one line what is wrong, where, and what to do.

    ``command.run`` prints that line on stderr and exits with status 1. Under fairseq's commands
    ``plugin.guard_commands`` does the same.
    """

    def __init__(self, message: str):
        line = " ".join(str(message).split())
        # a terminal would obey the control characters of a file that the message repeats
        line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in line)
        if len(line) > LONGEST:
            line = f"{line[:3 * LONGEST // 4]} … {line[-LONGEST // 4:]}"
        super().__init__(line)

    @property
    def line(self) -> str:
        """The line that a command prints."""
        return f"fairseq_palbert: error: {self}"
