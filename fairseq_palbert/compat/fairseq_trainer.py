"""What fairseq's commands look up in modules: readers of checkpoints, diagnosis of NaN, early stopping, TensorBoard.

fairseq's reader composes a Hydra configuration of the file's strings, and ends in a traceback on a damaged file. Its
diagnosis fails on an output that is a dataclass. Its counts for ``--patience`` are in no checkpoint. Its
TensorBoard shows twice what a resumed training does again.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import fairseq.trainer
from fairseq import checkpoint_utils, progress_bar
from torch import nn

_SummaryWriter = progress_bar.SummaryWriter


def read_checkpoints_by(read: Callable[[str], dict[str, Any]]) -> None:
    """Makes fairseq's trainer read checkpoints by ``read``, of a path."""
    checkpoint_utils.load_checkpoint_to_cpu = lambda path, *_, **__: read(path)


def check_checkpoints_by(check: Callable[[str], None]) -> None:
    """Makes fairseq's commands call ``check``, of a path, before they read a checkpoint."""
    read = checkpoint_utils.load_checkpoint_to_cpu

    def checked(path: str, *arguments: Any, **named: Any) -> dict[str, Any]:
        check(path)
        return read(path, *arguments, **named)

    checkpoint_utils.load_checkpoint_to_cpu = checked


def end_divergence_by(end: Callable[[nn.Module], None]) -> None:
    """Makes fairseq's trainer call ``end``, of the model, for a gradient that is not finite."""
    fairseq.trainer.NanDetector = end


def patience_counts() -> dict[str, Any]:
    """What ``--patience`` counts: the ``best`` score, and in ``num_runs`` the validations since."""
    from fairseq_cli.train import should_stop_early  # imported here, since it configures logging

    return {"best": None, "num_runs": 0} | vars(should_stop_early)


def count_patience_on(best: float | None, num_runs: int) -> None:
    from fairseq_cli.train import should_stop_early

    should_stop_early.best, should_stop_early.num_runs = best, num_runs


def log_anew_from(update: int) -> None:
    """Makes a TensorBoard folder that is opened from now on drop what a killed training logged from ``update`` on."""
    if _SummaryWriter:  # None where TensorBoard is not installed
        progress_bar.SummaryWriter = partial(_SummaryWriter, purge_step=update)
