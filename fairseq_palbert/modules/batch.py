"""A batch as one long matrix of tokens, so that linear layers compute with no padding, and attention inside each sentence.

Sizes: B sentences, T tokens of the longest, R rows of the matrix (tokens), C hidden units, H attention heads.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import accumulate, groupby
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Batch(Protocol):
    """``tokens`` [R] are ids, ``positions`` [R] their places in their sentences from 0, ``sentence`` [R] the sentence each
    belongs to, and ``first`` [B] the row where each sentence begins."""

    tokens: Tensor
    positions: Tensor
    sentence: Tensor
    first: Tensor

    def attend(self, projected: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
        """Self-attention of queries, keys and values side by side. Shape: [R, 3C] -> [R, C]."""

    def mean(self, hidden: Tensor) -> Tensor:
        """The mean over each sentence's own tokens, special ones included, padding not. Shape: [R, C] -> [B, C]."""


class PaddedBatch:
    """Rows of token ids filled up to the longest, as training has them. Shape: [B, T].

    On the CPU its padding is taken out; elsewhere the host would wait for the device to find it, so that R = B T there.
    """

    def __init__(self, tokens: Tensor, padding_id: int):
        real = tokens.ne(padding_id)
        whole = bool(real.all())
        self.sizes = tokens.shape
        self.attended = None if whole else real[:, None, None, :]
        self.rows = real.flatten().nonzero().squeeze(1) if tokens.is_cpu and not whole else None
        self.tokens = self.take_out(tokens)
        self.positions = self.take_out((real.cumsum(1) * real - 1).clamp(min=0))
        self.sentence = self.take_out(torch.arange(len(tokens), device=tokens.device)[:, None].expand_as(tokens))
        counted = real.sum(1) if self.rows is not None else torch.full_like(real[:, 0], tokens.shape[1], dtype=torch.long)
        self.first = counted.cumsum(0) - counted

    def take_out(self, padded: Tensor) -> Tensor:
        """Shape: [B, T, ...] -> [R, ...]."""
        tokens = padded.flatten(0, 1)
        return tokens if self.rows is None else tokens.index_select(0, self.rows)

    def put_back(self, tokens: Tensor) -> Tensor:
        """The padding is zeros, where it was taken out. Shape: [R, ...] -> [B, T, ...]."""
        if self.rows is not None:
            tokens = tokens.new_zeros(self.sizes.numel(), *tokens.shape[1:]).index_copy(0, self.rows, tokens)
        return tokens.unflatten(0, self.sizes)

    def attend(self, projected: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
        return self.take_out(_attend(self.put_back(projected), heads, self.attended, dropout))

    def mean(self, hidden: Tensor) -> Tensor:
        if self.rows is not None or self.attended is None:
            return _mean(hidden, self.first)
        real = self.attended[:, 0, 0, :, None]
        total = torch.where(real, self.put_back(hidden), 0).sum(1, dtype=torch.float32)
        return (total / real.sum(1)).to(hidden.dtype)


class PackedBatch:
    """Sentences one behind the other, ``lengths`` [B] tokens each, as inference has them. Shape: tokens [R].

    Attention goes over neighbours of equal length at once, which sentences sorted by length have many of; on a GPU it is
    torch's variable-length kernel in half precision, and padded in float32.
    """

    def __init__(self, tokens: Tensor, lengths: list[int]):
        self.tokens = tokens
        self.lengths = lengths

    @classmethod
    def of(cls, sentences: list[Tensor]) -> "PackedBatch":
        """Shape: [T_i] token ids each."""
        return cls(torch.cat(sentences), [len(sentence) for sentence in sentences])

    @cached_property
    def first(self) -> Tensor:
        return torch.tensor([0, *accumulate(self.lengths[:-1])], device=self.tokens.device)

    @cached_property
    def sentence(self) -> Tensor:
        counts = torch.tensor(self.lengths, device=self.tokens.device)
        return torch.repeat_interleave(counts, output_size=len(self.tokens))

    @cached_property
    def positions(self) -> Tensor:
        return torch.arange(len(self.tokens), device=self.tokens.device) - self.first[self.sentence]

    def keep(self, stays: Tensor) -> tuple[Tensor, "PackedBatch"]:
        """The rows of the sentences that stay, and the batch of these. Shape: bool [B] -> [R'], int64."""
        rows = stays[self.sentence].nonzero().squeeze(1)
        lengths = [length for length, stay in zip(self.lengths, stays.tolist()) if stay]
        return rows, PackedBatch(self.tokens[rows], lengths)

    def followed_by(self, other: "PackedBatch") -> "PackedBatch":
        return PackedBatch(torch.cat([self.tokens, other.tokens]), self.lengths + other.lengths)

    def parts(self, most: int) -> Iterator[tuple[slice, "PackedBatch"]]:
        """The batch cut between sentences into parts of about equal size, which have about ``most`` rows at most."""
        rows = len(self.tokens)
        size = rows / -(-rows // most)
        row, lengths = 0, []
        for end, length in zip(accumulate(self.lengths), self.lengths):
            lengths.append(length)
            if end - row >= size or end == rows:
                yield slice(row, end), PackedBatch(self.tokens[row:end], lengths)
                row, lengths = end, []

    def attend(self, projected: Tensor, heads: int, dropout: float = 0.0) -> Tensor:
        if projected.is_cpu:
            return self._attend_by_length(projected, heads, dropout)
        if projected.dtype in (torch.float16, torch.bfloat16):
            return self._attend_by_kernel(projected, heads)
        return self._attend_padded(projected, heads, dropout)

    def mean(self, hidden: Tensor) -> Tensor:
        return _mean(hidden, self.first)

    def _attend_by_length(self, projected: Tensor, heads: int, dropout: float) -> Tensor:
        parts, row = [], 0
        for length, neighbours in groupby(self.lengths):
            count = sum(1 for _ in neighbours)
            sentences = projected[row:row + count * length].unflatten(0, (count, length))
            parts.append(_attend(sentences, heads, None, dropout).flatten(0, 1))
            row += count * length
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _attend_padded(self, projected: Tensor, heads: int, dropout: float) -> Tensor:
        counts = torch.tensor(self.lengths, device=projected.device)
        real = torch.arange(max(self.lengths), device=projected.device) < counts[:, None]
        padded = projected.new_zeros(*real.shape, projected.shape[1])
        padded[self.sentence, self.positions] = projected
        return _attend(padded, heads, real[:, None, None, :], dropout)[self.sentence, self.positions]

    def _attend_by_kernel(self, projected: Tensor, heads: int) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn  # loads torch's compiler, which takes its time

        ends = torch.tensor([0, *accumulate(self.lengths)], dtype=torch.int32, device=projected.device)
        query, key, value = projected.unflatten(-1, (3, heads, -1)).unbind(1)  # each [R, H, C / H]
        longest = max(self.lengths)
        return varlen_attn(query, key, value, ends, ends, longest, longest).flatten(1)


def _mean(hidden: Tensor, first: Tensor) -> Tensor:
    """The mean of rows ``first[i]`` up to ``first[i + 1]``, added up in float32. Shape: [R, C], [B] -> [B, C]."""
    rows = torch.arange(len(hidden), device=hidden.device)
    return F.embedding_bag(rows, hidden.float(), first, mode="mean").to(hidden.dtype)


def _attend(projected: Tensor, heads: int, attended: Tensor | None, dropout: float) -> Tensor:
    """``attended`` [B, 1, 1, T] is true where a token may be looked at, None where all may. Shape: [B, T, 3C] -> [B, T, C]."""
    query, key, value = projected.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, T, C / H]
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=attended, dropout_p=dropout)
    return context.transpose(1, 2).flatten(2)
