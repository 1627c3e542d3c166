"""Assemble one or two tokenized sentences into the tokens of one example.

Training and serving share this code.

Sizes: S examples, A and B tokens of an example's sentences without special ones.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .special_tokens import BEGIN, END

_BEGIN, _END = torch.tensor([BEGIN]), torch.tensor([END])


def special_count(sentences: int, separators: int) -> int:
    """The number of special tokens: ``<s>``, the last ``</s>``, and ``separators`` ``</s>`` between two sentences."""
    return 2 + separators * (sentences - 1)


def kept_lengths(lengths: Sequence[np.ndarray], separators: int, max_positions: int) -> list[np.ndarray]:
    """The number of tokens kept of each sentence in an example of ``max_positions``, without special tokens.

    Tokens of the longer sentence are dropped first, as by ``longest_first`` of Hugging Face's ``tokenizers``. Where
    both sentences are longer than half of the budget, each keeps half. An odd token goes to the longer sentence, in a
    tie to the second. A budget of 7 keeps (4, 3) of lengths (9, 4), (3, 4) of (9, 9) and (2, 5) of (2, 9).
    Shape: [S], or [S] and [S] -> the same.
    """
    budget = max_positions - special_count(len(lengths), separators)
    if len(lengths) == 1:
        return [np.minimum(lengths[0], budget)]
    first, second = lengths
    of_shorter = np.minimum(np.minimum(first, second), budget // 2)
    of_longer = np.minimum(np.maximum(first, second), budget - of_shorter)
    first_is_longer = first > second
    return [np.where(first_is_longer, of_longer, of_shorter), np.where(first_is_longer, of_shorter, of_longer)]


def example(sentences: Sequence[Tensor], kept: Sequence[int], separators: int) -> Tensor:
    """``<s> a </s>``; for a pair ``<s> a </s> b </s>`` by one of ``separators``, ``<s> a </s> </s> b </s>`` by two.

    Only the first ``kept`` tokens of each sentence are used, A, or A and B: ``sentences`` may end in ``</s>``.
    Shape: [A + 2], or [A + B + 2 + separators], int64.
    """
    parts = [_BEGIN]
    for place, (sentence, length) in enumerate(zip(sentences, kept, strict=True)):
        parts += [_END] * separators * (place > 0) + [sentence[:length].long()]
    return torch.cat([*parts, _END])
