"""Tests of assembling sentences and pairs into model inputs: marks, separators and truncation."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from fairseq_palbert.tokenization.assembly import example, kept_lengths, special_count

LONGEST = 8


@pytest.fixture(scope="module")
def reference():
    """reference(first, second, separators, limit) returns ids of the tokenizers library: <s> 0, </s> 2, words 7, 9."""
    tokenizer = Tokenizer(WordLevel({"<s>": 0, "</s>": 2, "a": 7, "b": 9}, unk_token="a"))
    tokenizer.pre_tokenizer = WhitespaceSplit()

    def encode(first: int, second: int | None, separators: int, limit: int) -> list[int]:
        pair = f"<s> $A {'</s> ' * separators}$B </s>"
        tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", pair=pair,
                                                      special_tokens=[("<s>", 0), ("</s>", 2)])
        tokenizer.enable_truncation(limit, strategy="longest_first")
        sentences = ["a " * first] if second is None else ["a " * first, "b " * second]
        return tokenizer.encode(*sentences).ids

    return encode


@pytest.mark.parametrize("separators", [1, 2])
def test_pairs_are_truncated_and_marked_as_the_tokenizers_library_does(reference, separators):
    count = special_count(2, separators)
    for first, second, limit in product(range(LONGEST), range(LONGEST), range(count, count + 2 * LONGEST)):
        kept = [int(part[0]) for part in kept_lengths([np.array([first]), np.array([second])], separators, limit)]
        ours = example([torch.tensor([7] * first + [2]), torch.tensor([9] * second + [2])], kept, separators).tolist()
        assert ours == reference(first, second, separators, limit), (first, second, limit)
        assert len(ours) == sum(kept) + count


def test_single_sentences_are_truncated_and_marked_as_the_tokenizers_library_does(reference):
    for length, limit in product(range(LONGEST), range(3, LONGEST + 4)):
        (kept,), = kept_lengths([np.array([length])], 1, limit)
        ours = example([torch.tensor([7] * length + [2])], [kept], 1).tolist()
        assert ours == reference(length, None, 1, limit), (length, limit)


@given(st.integers(0, 600), st.integers(0, 600), st.integers(0, 600))
def test_a_budget_is_used_up_and_lengths_of_several_examples_do_not_meet(first, second, budget):
    kept = kept_lengths([np.array([first, second, 0]), np.array([second, first, 0])], 1, budget + special_count(2, 1))
    assert (sum(kept) == [min(budget, first + second), min(budget, first + second), 0]).all()
    assert (kept[0][:2] <= [first, second]).all() and (kept[1][:2] <= [second, first]).all()
    assert abs(kept[0][0] - kept[1][0]) <= max(1, abs(first - second))


def test_examples_of_one_and_two_sentences_are_marked():
    first, second = torch.tensor([7, 8, 2]), torch.tensor([9, 2], dtype=torch.int32)
    assert example([first], [2], 2).tolist() == example([first], [2], 1).tolist() == [0, 7, 8, 2]
    assert example([first, second], [2, 1], 2).tolist() == [0, 7, 8, 2, 2, 9, 2]
    assert example([first, second], [1, 1], 1).tolist() == [0, 7, 2, 9, 2]
