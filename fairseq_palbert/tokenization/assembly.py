"""From one or two tokenized sentences to the tokens of one example, alike in training and serving.

Sizes: S examples, A and B tokens of an example's sentences without special ones.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .special_tokens import BEGIN, END

_BEGIN, _END = torch.tensor([BEGIN]), torch.tensor([END])


def special_count(sentences: int, separators: int) -> int:
    """How many an example has: ``<s>``, the last ``</s>``, and ``separators`` times ``</s>`` between two sentences."""
    return 2 + separators * (sentences - 1)


def kept_lengths(lengths: Sequence[np.ndarray], separators: int, max_positions: int) -> list[np.ndarray]:
    """How many tokens of each sentence stay in an example of at most ``max_positions``, special tokens not counted.

    Those of the longer sentence go first, by the rule of Hugging Face's ``tokenizers`` (strategy ``longest_first``):
    where both have more than half of the budget, each keeps half of it, and the odd one goes to the longer sentence, in
    a tie to the second. So a budget of 7 keeps of lengths (9, 4), (9, 9) and (2, 9) (4, 3), (3, 4) and (2, 5).
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

    ``sentences`` may end in ``</s>`` themselves: the first ``kept`` tokens of each count, A, or A and B.
    Shape: [A + 2], or [A + B + 2 + separators], int64.
    """
    parts = [_BEGIN]
    for place, (sentence, length) in enumerate(zip(sentences, kept, strict=True)):
        parts += [_END] * separators * (place > 0) + [sentence[:length].long()]
    return torch.cat([*parts, _END])
