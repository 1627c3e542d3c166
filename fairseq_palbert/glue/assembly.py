"""From one or two tokenized sentences to the tokens of one example."""

import numpy as np
import torch
from torch import Tensor


def mark_count(sentences: int, separators: int) -> int:
    """The marks of an example: ``<s>``, the last ``</s>``, and ``separators`` times ``</s>`` between two sentences."""
    return 2 + separators * (sentences - 1)


def kept_lengths(first: np.ndarray, second: np.ndarray, budget: int) -> tuple[np.ndarray, np.ndarray]:
    """How many tokens of each sentence stay when both share ``budget``: those of the longer sentence go first.

    The rule of Hugging Face's ``tokenizers`` (strategy ``longest_first``): where both have more than half of the budget,
    each keeps half of it, and the odd one goes to the longer sentence, in a tie to the second. So a budget of 7 keeps of
    lengths (9, 4), (9, 9) and (2, 9) the first (4, 3), (3, 4) and (2, 5). Shape: [S] and [S] -> [S] and [S].
    """
    of_shorter = np.minimum(np.minimum(first, second), budget // 2)
    of_longer = np.minimum(np.maximum(first, second), budget - of_shorter)
    first_is_longer = first > second
    return np.where(first_is_longer, of_longer, of_shorter), np.where(first_is_longer, of_shorter, of_longer)


def example(begin: int, separator: int, sentences: list[Tensor], separators: int) -> Tensor:
    """``<s> a </s>``; for a pair ``<s> a </s> b </s>`` by one of ``separators``, ``<s> a </s> </s> b </s>`` by two.

    Shape: sentences [A], or [A] and [B], without marks -> [A + 2], or [A + B + 2 + separators].
    """
    first, *others = sentences
    parts = [first.new_tensor([begin]), first]
    for sentence in others:
        parts += [first.new_tensor([separator] * separators), sentence]
    return torch.cat([*parts, first.new_tensor([separator])])
