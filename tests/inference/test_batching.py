import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.inference.batching import length_sorted_batches, pad


@given(st.lists(st.integers(1, 50)), st.integers(1, 9))
def test_every_sentence_is_in_one_batch_longest_first(lengths, batch_size):
    batches = length_sorted_batches(lengths, batch_size)
    order = [i for batch in batches for i in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[i] for i in order] == sorted(lengths, reverse=True)
    assert all(len(batch) == batch_size for batch in batches[:-1]) and all(batches)


def test_equal_lengths_keep_their_order():
    assert length_sorted_batches([2, 3, 2, 3], 3) == [[1, 3, 0], [2]]


def test_padding_is_on_the_right():
    assert pad([torch.tensor([5]), torch.tensor([6, 7])], 1).tolist() == [[5, 1], [6, 7]]
