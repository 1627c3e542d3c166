"""Lets torch unpickle ``argparse.Namespace``, which fairseq's own models write into checkpoints.

fairseq itself reads the file, between two hooks of the model: torch's switch of allowed globals, which is the whole
process's and made for one ``with``, has to stay on from one hook to the other.
"""

from argparse import Namespace
from contextlib import ExitStack

import torch

_namespace_allowed = ExitStack()


def allow_namespace() -> None:
    """Until ``forbid_namespace``."""
    _namespace_allowed.enter_context(torch.serialization.safe_globals([Namespace]))


def forbid_namespace() -> None:
    _namespace_allowed.close()
