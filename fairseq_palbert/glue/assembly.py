"""From one or two tokenized sentences to the tokens of one example."""

import numpy as np
import torch
from torch import Tensor


def kept_lengths(first: np.ndarray, second: np.ndarray, budget: int) -> tuple[np.ndarray, np.ndarray]:
    """How many tokens of each sentence stay when both share ``budget``, taken one by one from the longer sentence.

    A tie takes from the second, so that of lengths (9, 4), (9, 9) and (2, 9) a budget of 7 keeps (4, 3), (4, 3) and
    (2, 5). Shape: [S] and [S] -> [S] and [S].
    """
    kept_second = np.minimum(second, np.maximum(budget // 2, budget - first))
    kept_first = np.minimum(first, budget - kept_second)
    return kept_first, kept_second


def roberta_example(begin: int, end: int, sentences: list[Tensor]) -> Tensor:
    """``<s> a </s>``, or ``<s> a </s> </s> b </s>`` for a pair.

    Shape: sentences [A] and [B], without ``</s>`` -> [A + B + 4].
    """
    marks = sentences[0].new_tensor([begin, end])
    parts = [marks[:1], sentences[0], marks[1:]]
    for sentence in sentences[1:]:
        parts += [marks[1:], sentence, marks[1:]]
    return torch.cat(parts)
