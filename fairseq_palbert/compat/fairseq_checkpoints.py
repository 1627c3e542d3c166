"""fairseq's reading of checkpoints, which its trainer looks up in a module.

fairseq's own function composes a Hydra configuration of the file's strings, and ends in a traceback on a damaged file.
"""

from collections.abc import Callable
from typing import Any

from fairseq import checkpoint_utils


def read_checkpoints_by(read: Callable[[str], dict[str, Any]]) -> None:
    """Makes fairseq's trainer read checkpoints by ``read``, of a path."""
    checkpoint_utils.load_checkpoint_to_cpu = lambda path, *_, **__: read(path)
