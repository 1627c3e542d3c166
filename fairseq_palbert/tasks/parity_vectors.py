"""Vectors whose label is the parity of their ones, drawn from a seed.

Sizes: E vectors, P entries of each.
"""

import numpy as np
import torch
from fairseq.data import FairseqDataset
from torch import Tensor

from .dataset import TokenizedSplit


def draw(seed: list[int], count: int, size: int, least: int, most: int) -> tuple[Tensor, Tensor]:
    """``count`` vectors of ``size`` entries, and their labels: 1 where the number of ones is odd.

    A number of entries, uniform in ``least``..``most``, are 1 or −1 alike, at uniform places; all others are 0. Equal
    seeds give equal vectors. Shape: float32 [E, P], int64 [E].

    Source: Adaptive Computation Time (arXiv 1603.08983, section 3.1), as in PonderNet (arXiv 2107.05407, section 3.1).
    """
    generator = np.random.default_rng(seed)
    nonzero = generator.integers(least, most, (count, 1), endpoint=True)
    places = generator.random((count, size)).argsort(1) < nonzero
    vectors = places * generator.choice([-1, 1], (count, size))
    return torch.from_numpy(vectors.astype(np.float32)), torch.from_numpy((vectors == 1).sum(1) % 2)


class ParityDataset(FairseqDataset):
    """``examples`` vectors from ``draw``; with ``fresh`` others in every epoch. An example's id is its place.

    ``split`` holds the vectors in place of sentences. A batch is that of ``SentenceDataset``, with the vectors [B, P]
    as ``src_tokens``; ``tokens`` of an item is [1, P].
    """

    def __init__(self, seed: list[int], examples: int, size: int, least: int, most: int, fresh: bool):
        self.seed = seed
        self.examples = examples
        self.range = size, least, most
        self.fresh = fresh
        self.sizes = np.ones(examples, dtype=np.int64)
        self.set_epoch(1)

    def set_epoch(self, epoch: int) -> None:
        """fairseq calls this before each epoch."""
        seed = [*self.seed, epoch] if self.fresh else self.seed
        vectors, labels = draw(seed, self.examples, *self.range)
        self.split = TokenizedSplit([vectors], labels, separators=0)

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, index: int) -> dict:
        place = int(index)
        return {"id": place, "tokens": self.split.sentences[0][place:place + 1], "target": self.split.targets[place]}

    def collater(self, samples: list[dict]) -> dict:
        if not samples:
            return {}
        ones = torch.ones(len(samples), dtype=torch.long)
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "net_input": {"src_tokens": torch.cat([sample["tokens"] for sample in samples]), "src_lengths": ones},
            "target": torch.stack([sample["target"] for sample in samples]),
            "nsentences": len(samples),
            "ntokens": len(samples),
            "examples": len(self),
        }

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return not self.fresh

    def num_tokens(self, index: int) -> int:
        return 1

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        return self.sizes[indices]

    def size(self, index: int) -> int:
        return 1
