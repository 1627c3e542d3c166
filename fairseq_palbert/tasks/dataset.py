"""Dataset of one split: assembles, truncates and batches every example."""

from dataclasses import dataclass

import numpy as np
import torch
from fairseq.data import FairseqDataset
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..tokenization.assembly import example, kept_lengths, special_count
from ..tokenization.special_tokens import PADDING


@dataclass(frozen=True)
class TokenizedSplit:
    """One or two indexed datasets of sentences that end in ``</s>``, and targets [S], float64 or int64, or None.

    ``separators`` is the number of ``</s>`` between the two sentences of a pair. ``groups`` [S], numbered from 0, and
    ``text_scores`` [S, 2] are those of ``metrics.References``.
    """

    sentences: list[FairseqDataset]
    targets: Tensor | None
    separators: int
    groups: Tensor | None = None
    text_scores: Tensor | None = None

    def __len__(self) -> int:
        return len(self.sentences[0])


class SentenceDataset(FairseqDataset):
    """The examples ``ids`` of a split; an example's id is its row in the file.

    A batch holds ``id`` [B], ``net_input`` (``src_tokens`` [B, T] padded on the right, ``src_lengths`` [B]),
    ``target`` [B] where labels are known, and ``group`` [B] and ``text_scores`` [B, 2] where the split has them.
    ``nsentences`` and ``ntokens`` are the batch's counts, ``examples`` is the number of examples of the whole split.
    """

    def __init__(self, split: TokenizedSplit, ids: np.ndarray, max_positions: int, shuffle: bool, length_pool: int = 1):
        """``length_pool``: number of batches whose shuffled examples are sorted by length together; 1 sorts none."""
        self.split = split
        of_split = {"target": split.targets, "group": split.groups, "text_scores": split.text_scores}
        self._of_split = {name: values for name, values in of_split.items() if values is not None}
        self.ids = ids
        self.shuffle = shuffle
        self.length_pool = length_pool
        lengths = [np.asarray(sentences.sizes)[ids] - 1 for sentences in split.sentences]  # without </s>
        self.kept = kept_lengths(lengths, split.separators, max_positions)
        self.sizes = sum(self.kept) + special_count(len(lengths), split.separators)
        self.truncated = int((sum(lengths) > sum(self.kept)).sum())

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict:
        row = int(self.ids[index])
        sentences, kept = [tokens[row] for tokens in self.split.sentences], [lengths[index] for lengths in self.kept]
        tokens = example(sentences, kept, self.split.separators)
        return {"id": row, "tokens": tokens, **{name: values[row] for name, values in self._of_split.items()}}

    def collater(self, samples: list[dict]) -> dict:
        if not samples:
            return {}
        tokens = [sample["tokens"] for sample in samples]
        lengths = torch.tensor([len(row) for row in tokens])
        return {
            "id": torch.tensor([sample["id"] for sample in samples]),
            "net_input": {"src_tokens": pad_sequence(tokens, True, PADDING), "src_lengths": lengths},
            "nsentences": len(samples),
            "ntokens": int(lengths.sum()),
            "examples": len(self.split),
            **{name: torch.stack([sample[name] for sample in samples]) for name in self._of_split},
        }

    def ordered_indices(self) -> np.ndarray:
        """In training a new random order each epoch (fairseq seeds numpy by epoch), otherwise shortest first."""
        if self.shuffle:
            return np.random.permutation(len(self))
        return np.argsort(self.sizes, kind="stable")

    def batch_by_size(self, indices, max_tokens=None, max_sentences=None, required_batch_size_multiple=1):
        """Sorts shuffled examples by length within pools of ``length_pool`` batches, then batches them as fairseq does.

        fairseq shuffles the batches afterwards. Sorting saves padding, but makes a batch less of a random sample.
        """
        if self.shuffle and self.length_pool > 1:
            pool = self.length_pool * (max_sentences or max(1, max_tokens // max(1, int(self.sizes.mean()))))
            pools = np.arange(len(indices)) // pool
            indices = indices[np.lexsort((self.sizes[indices], pools))]
        return super().batch_by_size(indices, max_tokens, max_sentences, required_batch_size_multiple)

    @property
    def can_reuse_epoch_itr_across_epochs(self) -> bool:
        return not self.shuffle

    def num_tokens(self, index: int) -> int:
        return int(self.sizes[index])

    def num_tokens_vec(self, indices: np.ndarray) -> np.ndarray:
        return self.sizes[indices]

    def size(self, index: int) -> int:
        return int(self.sizes[index])
