"""The one error that stands for a user's mistake."""


class UserError(SystemExit):
    """One clear line on stderr and exit status 1, never a traceback.

    It derives from SystemExit so that it also passes the ``except Exception`` in fairseq's own commands. The message says
    what is wrong, where, and what to do about it.
    """

    def __init__(self, message: str):
        super().__init__("fairseq_palbert: error: " + " ".join(str(message).split()))
