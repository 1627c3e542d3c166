"""Batches as one matrix of tokens without padding.

Linear layers run over all tokens at once; attention runs inside each sentence.

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
    """Sentences as rows of tokens.

    ``tokens`` [R] holds token ids, ``positions`` [R] their positions in their sentences, from 0. ``sentence`` [R]
    holds the index of each token's sentence, ``first`` [B] the row of each sentence's first token.
    """

    tokens: Tensor
    positions: Tensor
    sentence: Tensor
    first: Tensor

    def bias(self, make_bias: Callable[[int], Tensor]) -> Tensor:
        """The attention bias that ``attend`` takes, made once for all layers.

        ``make_bias`` returns the bias [H, T, T] of a sentence of T tokens; its top left corner is a shorter one's.
        """

    def attend(self, projected: Tensor, heads: int, dropout: float = 0.0, bias: Tensor | None = None) -> Tensor:
        """Self-attention over queries, keys and values side by side; ``bias`` is added to the scores.

        Shape: [R, 3C] -> [R, C].
        """

    def mean(self, hidden: Tensor) -> Tensor:
        """The mean over each sentence's tokens, special tokens included, padding excluded. Shape: [R, C] -> [B, C]."""


class PaddedBatch:
    """Token ids padded to the longest sentence, as in training. Shape: [B, T].

    On the CPU the padding is removed. On other devices R = B T: the host would have to wait for its positions.
    """

    def __init__(self, tokens: Tensor, padding_id: int):
        real = tokens.ne(padding_id)
        no_padding = bool(real.all())
        self.sizes = tokens.shape
        self.attended = None if no_padding else real[:, None, None, :]
        self.rows = real.flatten().nonzero().squeeze(1) if tokens.is_cpu and not no_padding else None
        self.tokens = self.unpad(tokens)
        self.positions = self.unpad((real.cumsum(1) * real - 1).clamp(min=0))
        self.sentence = self.unpad(torch.arange(len(tokens), device=tokens.device)[:, None].expand_as(tokens))
        lengths = real.sum(1) if self.rows is not None else torch.full_like(real[:, 0], tokens.shape[1],
                                                                            dtype=torch.long)
        self.first = lengths.cumsum(0) - lengths
        self._bias: Tensor | None = None

    def unpad(self, padded: Tensor) -> Tensor:
        """Remove the padding, where this batch does. Shape: [B, T, ...] -> [R, ...]."""
        tokens = padded.flatten(0, 1)
        return tokens if self.rows is None else tokens.index_select(0, self.rows)

    def pad(self, tokens: Tensor) -> Tensor:
        """Put removed padding back, as zeros. Shape: [R, ...] -> [B, T, ...]."""
        if self.rows is not None:
            tokens = tokens.new_zeros(self.sizes.numel(), *tokens.shape[1:]).index_copy(0, self.rows, tokens)
        return tokens.unflatten(0, self.sizes)

    def bias(self, make_bias: Callable[[int], Tensor]) -> Tensor:
        """The bias with −∞ at masked tokens. Shape: [B, H, T, T], or [1, H, T, T] without padding."""
        if self._bias is None:
            self._bias = _masked(make_bias(self.sizes[1]), self.attended)
        return self._bias

    def attend(self, projected: Tensor, heads: int, dropout: float = 0.0, bias: Tensor | None = None) -> Tensor:
        mask = self.attended if bias is None else bias
        return self.unpad(_attend(self.pad(projected), heads, mask, dropout))

    def mean(self, hidden: Tensor) -> Tensor:
        if self.rows is not None or self.attended is None:
            return _mean(hidden, self.first)
        real = self.attended[:, 0, 0, :, None]
        total = torch.where(real, self.pad(hidden), 0).sum(1, dtype=torch.float32)
        return (total / real.sum(1)).to(hidden.dtype)


@dataclass
class SharedBias:
    """The bias of the longest sentence so far, [H, T, T], shared by batches derived from one another."""

    bias: Tensor | None = None


class PackedBatch:
    """Concatenated sentences of ``lengths`` [B] tokens, as in inference. Shape: tokens [R].

    On the CPU, neighbours of equal length share one attention call; sorted sentences have many of them. On a GPU in
    half precision, attention is torch's variable-length kernel. In float32 or with a bias, which the kernel does not
    support, it is padded.
    """

    def __init__(self, tokens: Tensor, lengths: list[int], shared: SharedBias | None = None):
        self.tokens = tokens
        self.lengths = lengths
        self.shared = shared or SharedBias()

    @classmethod
    def of(cls, sentences: list[Tensor], device: torch.device | None = None) -> "PackedBatch":
        """The batch on ``device``, by default where the sentences are. Shape: [T_i] token ids each."""
        return cls(torch.cat(sentences).to(device=device), [len(sentence) for sentence in sentences])

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
        """The rows of the sentences that stay, and the batch of those sentences. Shape: bool [B] -> [R'], int64."""
        rows = stays[self.sentence].nonzero().squeeze(1)
        lengths = [length for length, stay in zip(self.lengths, stays.tolist()) if stay]
        return rows, PackedBatch(self.tokens[rows], lengths, self.shared)

    def followed_by(self, other: "PackedBatch") -> "PackedBatch":
        return PackedBatch(torch.cat([self.tokens, other.tokens]), self.lengths + other.lengths, self.shared)

    def parts(self, max_rows: int) -> Iterator[tuple[slice, "PackedBatch"]]:
        """The batch, split between sentences into parts of about equal size and at most about ``max_rows`` rows."""
        rows = len(self.tokens)
        size = rows / -(-rows // max_rows)
        row, lengths = 0, []
        for end, length in zip(accumulate(self.lengths), self.lengths):
            lengths.append(length)
            if end - row >= size or end == rows:
                yield slice(row, end), PackedBatch(self.tokens[row:end], lengths, self.shared)
                row, lengths = end, []

    def bias(self, make_bias: Callable[[int], Tensor]) -> Tensor:
        """The bias of this batch's longest sentence, or of a longer one. Shape: [H, T', T']."""
        longest = max(self.lengths)
        if self.shared.bias is None or self.shared.bias.shape[1] < longest:
            self.shared.bias = make_bias(longest)
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
        from torch.nn.attention.varlen import varlen_attn  # loads torch's compiler, which is slow

        ends = torch.tensor([0, *accumulate(self.lengths)], dtype=torch.int32, device=projected.device)
        query, key, value = projected.unflatten(-1, (3, heads, -1)).unbind(1)  # each [R, H, C / H]
        longest = max(self.lengths)
        return varlen_attn(query, key, value, ends, ends, longest, longest).flatten(1)


def _mean(hidden: Tensor, first: Tensor) -> Tensor:
    """The mean of rows ``first[i]`` up to ``first[i + 1]``, summed in float32. Shape: [R, C], [B] -> [B, C]."""
    if len(first) == 1:
        return hidden.mean(0, keepdim=True, dtype=torch.float32).to(hidden.dtype)
    rows = torch.arange(len(hidden), device=hidden.device)
    return F.embedding_bag(rows, hidden.float(), first, mode="mean").to(hidden.dtype)


def _masked(bias: Tensor, attended: Tensor | None) -> Tensor:
    """Shape: [H, T, T], bool [B, 1, 1, T] -> [B, H, T, T], or [1, H, T, T] where nothing is masked."""
    return bias[None] if attended is None else torch.where(attended, bias, -torch.inf)


def _attend(projected: Tensor, heads: int, mask: Tensor | None, dropout: float) -> Tensor:
    """Multi-head attention. ``mask`` is added to the scores, or is true where attention is allowed.

    Shape: [B, T, 3C] -> [B, T, C]; the mask broadcasts to [B, H, T, T].
    """
    query, key, value = projected.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, T, C / H]
    context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
    return context.transpose(1, 2).flatten(2)
