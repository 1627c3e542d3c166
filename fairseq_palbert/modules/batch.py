"""A batch as one long matrix of tokens, so that linear layers compute with no padding, and attention inside each
sentence.

Sizes: B sentences, T tokens of the longest, R rows of the matrix (tokens), C hidden units, H attention heads.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Batch(Protocol):
    """``tokens`` [R] are ids, ``positions`` [R] their places in their sentences from 0, ``sentence`` [R] the
    sentence each belongs to, and ``first`` [B] the row where each sentence begins."""

    tokens: Tensor
    positions: Tensor
    sentence: Tensor
    first: Tensor

    def bias(self, of_length: Callable[[int], Tensor]) -> Tensor:
        """What ``attend`` takes as its ``bias``, made once for all layers. ``of_length`` gives that of a sentence of
        so many tokens, [H, T, T], whose corner is that of a shorter one."""

    def attend(self, projected: Tensor, heads: int, dropout: float = 0.0, bias: Tensor | None = None) -> Tensor:
        """Self-attention of queries, keys and values side by side, ``bias`` added to its scores. Shape: [R, 3C] ->
        [R, C]."""

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
        counted = real.sum(1) if self.rows is not None else torch.full_like(real[:, 0], tokens.shape[1],
                                                                            dtype=torch.long)
        self.first = counted.cumsum(0) - counted
        self._bias: Tensor | None = None

    def take_out(self, padded: Tensor) -> Tensor:
        """Shape: [B, T, ...] -> [R, ...]."""
        tokens = padded.flatten(0, 1)
        return tokens if self.rows is None else tokens.index_select(0, self.rows)

    def put_back(self, tokens: Tensor) -> Tensor:
        """The padding is zeros, where it was taken out. Shape: [R, ...] -> [B, T, ...]."""
        if self.rows is not None:
            tokens = tokens.new_zeros(self.sizes.numel(), *tokens.shape[1:]).index_copy(0, self.rows, tokens)
        return tokens.unflatten(0, self.sizes)

    def bias(self, of_length: Callable[[int], Tensor]) -> Tensor:
        """−∞ where a token may not be looked at. Shape: [B, H, T, T], or [1, H, T, T] without padding."""
        if self._bias is None:
            self._bias = _masked(of_length(self.sizes[1]), self.attended)
        return self._bias

    def attend(self, projected: Tensor, heads: int, dropout: float = 0.0, bias: Tensor | None = None) -> Tensor:
        mask = self.attended if bias is None else bias
        return self.take_out(_attend(self.put_back(projected), heads, mask, dropout))

    def mean(self, hidden: Tensor) -> Tensor:
        if self.rows is not None or self.attended is None:
            return _mean(hidden, self.first)
        real = self.attended[:, 0, 0, :, None]
        total = torch.where(real, self.put_back(hidden), 0).sum(1, dtype=torch.float32)
        return (total / real.sum(1)).to(hidden.dtype)


@dataclass
class Shared:
    """What batches that are made of one another keep together: the bias of the longest sentence so far, [H, T, T]."""

    bias: Tensor | None = None


class PackedBatch:
    """Sentences one behind the other, ``lengths`` [B] tokens each, as inference has them. Shape: tokens [R].

    Attention goes over neighbours of equal length at once, which sentences sorted by length have many of; on a GPU it
    is torch's variable-length kernel in half precision, and padded in float32 or with a bias, which the kernel does not
    take.
    """

    def __init__(self, tokens: Tensor, lengths: list[int], shared: Shared | None = None):
        self.tokens = tokens
        self.lengths = lengths
        self.shared = shared or Shared()

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
        return rows, PackedBatch(self.tokens[rows], lengths, self.shared)

    def followed_by(self, other: "PackedBatch") -> "PackedBatch":
        return PackedBatch(torch.cat([self.tokens, other.tokens]), self.lengths + other.lengths, self.shared)

    def parts(self, most: int) -> Iterator[tuple[slice, "PackedBatch"]]:
        """The batch cut between sentences into parts of about equal size, which have about ``most`` rows at most."""
        rows = len(self.tokens)
        size = rows / -(-rows // most)
        row, lengths = 0, []
        for end, length in zip(accumulate(self.lengths), self.lengths):
            lengths.append(length)
            if end - row >= size or end == rows:
                yield slice(row, end), PackedBatch(self.tokens[row:end], lengths, self.shared)
                row, lengths = end, []

    def bias(self, of_length: Callable[[int], Tensor]) -> Tensor:
        """That of the longest sentence here or of a longer one. Shape: [H, T', T']."""
        longest = max(self.lengths)
        if self.shared.bias is None or self.shared.bias.shape[1] < longest:
            self.shared.bias = of_length(longest)
        return self.shared.bias

    def attend(self, projected: Tensor, heads: int, dropout: float = 0.0, bias: Tensor | None = None) -> Tensor:
        if projected.is_cpu:
            return self._attend_by_length(projected, heads, dropout, bias)
        if bias is None and projected.dtype in (torch.float16, torch.bfloat16):
            return self._attend_by_kernel(projected, heads)
        return self._attend_padded(projected, heads, dropout, bias)

    def mean(self, hidden: Tensor) -> Tensor:
        return _mean(hidden, self.first)

    def _attend_by_length(self, projected: Tensor, heads: int, dropout: float, bias: Tensor | None) -> Tensor:
        parts, row = [], 0
        for length, neighbours in groupby(self.lengths):
            count = sum(1 for _ in neighbours)
            sentences = projected[row:row + count * length].unflatten(0, (count, length))
            mask = None if bias is None else bias[None, :, :length, :length]
            parts.append(_attend(sentences, heads, mask, dropout).flatten(0, 1))
            row += count * length
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _attend_padded(self, projected: Tensor, heads: int, dropout: float, bias: Tensor | None) -> Tensor:
        counts, longest = torch.tensor(self.lengths, device=projected.device), max(self.lengths)
        real = torch.arange(longest, device=projected.device) < counts[:, None]
        padded = projected.new_zeros(*real.shape, projected.shape[1])
        padded[self.sentence, self.positions] = projected
        mask = real[:, None, None, :]
        if bias is not None:
            mask = _masked(bias[:, :longest, :longest], mask)
        return _attend(padded, heads, mask, dropout)[self.sentence, self.positions]

    def _attend_by_kernel(self, projected: Tensor, heads: int) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn  # loads torch's compiler, which takes its time

        ends = torch.tensor([0, *accumulate(self.lengths)], dtype=torch.int32, device=projected.device)
        query, key, value = projected.unflatten(-1, (3, heads, -1)).unbind(1)  # each [R, H, C / H]
        longest = max(self.lengths)
        return varlen_attn(query, key, value, ends, ends, longest, longest).flatten(1)


def _mean(hidden: Tensor, first: Tensor) -> Tensor:
    """The mean of rows ``first[i]`` up to ``first[i + 1]``, added up in float32. Shape: [R, C], [B] -> [B, C]."""
    if len(first) == 1:
        return hidden.mean(0, keepdim=True, dtype=torch.float32).to(hidden.dtype)
    rows = torch.arange(len(hidden), device=hidden.device)
    return F.embedding_bag(rows, hidden.float(), first, mode="mean").to(hidden.dtype)


def _masked(bias: Tensor, attended: Tensor | None) -> Tensor:
    """Shape: [H, T, T], bool [B, 1, 1, T] -> [B, H, T, T], or [1, H, T, T] where all may be looked at."""
    return bias[None] if attended is None else torch.where(attended, bias, -torch.inf)


def _attend(projected: Tensor, heads: int, mask: Tensor | None, dropout: float) -> Tensor:
    """``mask`` is added to the scores, or is true where a token may be looked at; it broadcasts to [B, H, T, T].
    Shape: [B, T, 3C] -> [B, T, C]."""
    query, key, value = projected.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, T, C / H]
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    return context.transpose(1, 2).flatten(2)
