"""Exact match and token F1 of answers that are texts.

Source: ReCoRD's evaluation (arXiv 1810.12885, section 5), which is SQuAD's (arXiv 1606.05250, section 6.1).
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """The text in lower case, without punctuation, articles and superfluous blanks."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def token_f1(answer: str, gold: str) -> float:
    """F1 of the words of two normalised texts, each counted as often as it occurs; 0 without a common word."""
    answered, wanted = Counter(answer.split()), Counter(gold.split())
    common = (answered & wanted).total()
    return 2 * common / (answered.total() + wanted.total()) if common else 0.0


def text_scores(candidates: Sequence[str], groups: Sequence[int], positive: Sequence[bool]) -> Tensor:
    """What a group scores if a row answers it: exact match and token F1, the largest over the group's gold answers.

    Gold are the ``candidates`` [S] of the group's ``positive`` rows; without one, a group scores 0. Shape: [S, 2],
    float64.
    """
    texts = list(map(normalised, candidates))
    gold: dict[int, set[str]] = {}
    for text, group, right in zip(texts, groups, positive, strict=True):
        if right:
            gold.setdefault(group, set()).add(text)
    scores = [(float(text in gold.get(group, ())), max((token_f1(text, other) for other in gold.get(group, ())),
                                                       default=0.0)) for text, group in zip(texts, groups)]
    return torch.tensor(scores, dtype=torch.float64)
