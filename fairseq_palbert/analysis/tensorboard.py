"""Trade-off curves in TensorBoard."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from ..files import staged


def write_curves(folder: Path, rows: list[dict]) -> None:
    """Write each rule's trade-off curve as the scalar ``curve/RULE``.

    A value is the official score of a threshold, its step the mean exit layer in hundredths. ``rows`` are those of
    sweep.jsonl. An earlier call's curves are replaced. Raises UserError where the folder cannot be written.
    """
    with replacing_events(folder) as writer:
        for row in sorted(rows, key=lambda row: row["mean_exit"]):
            writer.add_scalar(f"curve/{row['rule']}", row["metrics"]["score"], round(100 * row["mean_exit"]))


@contextmanager
def replacing_events(folder: Path) -> Iterator[SummaryWriter]:
    """Yields a writer, whose event file takes the place of those in ``folder`` when the block succeeds.

    Beside them, a step would be shown twice. Raises UserError where the folder cannot be written.
    """
    earlier = tuple(path.name for path in folder.glob("events.out.tfevents.*"))
    with staged(folder, sometimes=earlier) as scratch, SummaryWriter(str(scratch)) as writer:
        yield writer
