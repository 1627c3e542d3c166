"""Trade-off curves in TensorBoard."""

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from ..errors import UserError


def write_curves(folder: Path, rows: list[dict]) -> None:
    """Write each rule's trade-off curve as the scalar ``curve/RULE``.

    A value is the official score of a threshold, its step the mean exit layer in hundredths. ``rows`` are those of
    sweep.jsonl. Raises UserError where the folder cannot be written.
    """
    with open_writer(folder) as writer:
        for row in sorted(rows, key=lambda row: row["mean_exit"]):
            writer.add_scalar(f"curve/{row['rule']}", row["metrics"]["score"], round(100 * row["mean_exit"]))


def open_writer(folder: Path) -> SummaryWriter:
    try:
        return SummaryWriter(str(folder))
    except OSError as error:
        raise UserError(f"--tensorboard-logdir {folder}: cannot be written ({error.strerror})") from error
