"""A split to score."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..definitions.metrics import References
from ..tasks.sentence_task import SentenceTask


@dataclass(frozen=True)
class Split:
    """E examples: their token ids, their rows in the file [E], and their targets [E], None where labels are unknown.

    ``rows`` is the number of rows of the file. It is more than E where the split is a part of the file. ``groups`` [E]
    and ``text_scores`` [E, 2] are those of ``References``.
    """

    name: str
    sentences: list[Tensor]
    ids: Tensor
    targets: Tensor | None
    rows: int
    groups: Tensor | None = None
    text_scores: Tensor | None = None

    @property
    def references(self) -> References:
        return References(self.targets, self.groups, self.text_scores)


def load_split(task: SentenceTask, name: str) -> Split:
    """Load a split of the task. Raises UserError where the data folder has no such split."""
    dataset = task.load_dataset(name)
    examples = sorted((dataset[i] for i in range(len(dataset))), key=lambda example: example["id"])
    ids = torch.tensor([example["id"] for example in examples])
    targets, groups, text_scores = (None if values is None else values[ids] for values in (
        dataset.split.targets, dataset.split.groups, dataset.split.text_scores))
    return Split(name, [example["tokens"] for example in examples], ids, targets, len(dataset.split), groups,
                 text_scores)
