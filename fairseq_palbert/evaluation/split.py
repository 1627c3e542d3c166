"""A split to score."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..tasks.glue_task import GlueSentenceTask


@dataclass(frozen=True)
class Split:
    """E examples: their token ids, their rows in the file [E], and their targets [E], None where labels are unknown.

    ``rows`` is the number of rows of the file. It is more than E where the split is a part of the file.
    """

    name: str
    sentences: list[Tensor]
    ids: Tensor
    targets: Tensor | None
    rows: int


def load_split(task: GlueSentenceTask, name: str) -> Split:
    """Load a split of the task. Raises UserError where the data folder has no such split."""
    dataset = task.load_dataset(name)
    examples = sorted((dataset[i] for i in range(len(dataset))), key=lambda example: example["id"])
    targets = torch.stack([example["target"] for example in examples]) if "target" in examples[0] else None
    ids = torch.tensor([example["id"] for example in examples])
    return Split(name, [example["tokens"] for example in examples], ids, targets, len(dataset.split))
