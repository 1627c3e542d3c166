import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.glue.assembly import kept_lengths, roberta_example


def one_by_one(first: int, second: int, budget: int) -> tuple[int, int]:
    while first + second > budget:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 40))
def test_kept_lengths_take_tokens_one_by_one_from_the_longer(first, second, budget):
    kept = kept_lengths(np.array([first]), np.array([second]), budget)
    assert tuple(int(part[0]) for part in kept) == one_by_one(first, second, budget)


def test_roberta_example_marks_one_and_two_sentences():
    first, second = torch.tensor([7, 8]), torch.tensor([9])
    assert roberta_example(0, 2, [first]).tolist() == [0, 7, 8, 2]
    assert roberta_example(0, 2, [first, second]).tolist() == [0, 7, 8, 2, 2, 9, 2]
