"""Let torch unpickle ``argparse.Namespace``, which fairseq's models write into checkpoints.

fairseq reads the file between two hooks of the model. torch's list of allowed globals belongs to the process and is
made for a ``with`` statement; here it has to last from one hook to the other.
"""

from argparse import Namespace
from contextlib import ExitStack

import torch

_namespace_allowed = ExitStack()


def allow_namespace() -> None:
    """Allows ``argparse.Namespace`` until ``forbid_namespace`` is called."""
    _namespace_allowed.enter_context(torch.serialization.safe_globals([Namespace]))


def forbid_namespace() -> None:
    _namespace_allowed.close()
