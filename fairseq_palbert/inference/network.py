"""What the engine needs of a network; ``modules.pondering.PonderingClassifier`` is one.

Sizes: N layers, B sentences, T tokens (padding included), C hidden units, K outputs. Rows are sentences everywhere.
"""

from typing import Protocol

from torch import Tensor


class PonderingNetwork(Protocol):
    """One depth at a time. The layers are 1..``depth``; ``outputs`` is K; ``initial_memory`` and ``halt`` are there where
    it ``halts``, ``expect_error`` where it ``learns_exit``."""

    depth: int
    outputs: int
    halts: bool
    learns_exit: bool

    def embed(self, tokens: Tensor) -> Tensor:
        """[B, T] -> hidden states [B, T, C]."""

    def attended(self, tokens: Tensor) -> Tensor | None:
        """What ``step`` needs to know of the padding. [B, T] -> any, or None."""

    def step(self, n: int, hidden: Tensor, attended: Tensor | None) -> Tensor:
        """Hidden states after layer n. [B, T, C] -> [B, T, C]."""

    def pool(self, n: int, hidden: Tensor) -> Tensor:
        """What the heads read at layer n. [B, T, C] -> [B, C]."""

    def classify(self, n: int, pooled: Tensor) -> Tensor:
        """Logits, or the value of a regression. [B, C] -> [B, K]."""

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """The lambda module's memory before layer 1. [B, C] -> [B, ...]."""

    def halt(self, n: int, pooled: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The halting logit of layer n < N, and the memory for layer n + 1. [B, C], [B, ...] -> [B], [B, ...]."""

    def expect_error(self, n: int, pooled: Tensor) -> Tensor:
        """The logit of the error that is expected of layer n < N. [B, C] -> [B]."""
