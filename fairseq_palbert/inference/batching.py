"""Batches of sentences of similar length, so that little of a batch is padding."""

from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def length_sorted_batches(lengths: list[int], batch_size: int) -> list[list[int]]:
    """Every index once, longest sentences first, equal lengths in the given order; the last batch may be smaller."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    return [order[start:start + batch_size] for start in range(0, len(order), batch_size)]


def pad(sentences: list[Tensor], padding_id: int) -> Tensor:
    """Sentences of token ids, each [T_i] -> [B, T], padded on the right."""
    return pad_sequence(sentences, batch_first=True, padding_value=padding_id)
