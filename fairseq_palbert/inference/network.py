"""The network that the engine runs; ``modules.pondering.PonderingClassifier`` is one.

Sizes: N layers, B sentences, T tokens of one, R tokens of all, C hidden units, K outputs.
"""

from typing import Protocol

from torch import Tensor

from ..modules.batch import PackedBatch
from ..modules.depthwise import Layers


class PonderingNetwork(Protocol):
    """A network that computes one depth at a time.

    The layers are 1..``depth``; ``outputs`` is K. ``initial_memory`` and ``halt`` apply where it ``halts``; the lambda
    module reads the classifier's answers where it ``halts_by_answers``. ``expect_error`` applies where it
    ``learns_exit``. Where it ``shares_layers``, every layer's ``step`` is the same. ``halting_weight``: parameters that
    one run of the lambda module reads, divided by those that one step reads.
    """

    depth: int
    outputs: int
    halts: bool
    learns_exit: bool
    shares_layers: bool
    halts_by_answers: bool
    halting_weight: float

    def packed(self, sentences: list[Tensor]) -> PackedBatch:
        """The batch, on the network's device, of token ids [T_i] each that may be elsewhere.

        A recurrent cell takes an input vector each, [1, P], which is one token.
        """

    def embed(self, batch: PackedBatch) -> Tensor:
        """Hidden states before layer 1, [R, C]."""

    def step(self, n: int, hidden: Tensor, batch: PackedBatch) -> Tensor:
        """Hidden states after layer n. [R, C] -> [R, C]."""

    def summarize(self, hidden: Tensor, batch: PackedBatch) -> Tensor:
        """One vector per sentence from its hidden states after a layer. [R, C] -> [B, C]."""

    def pool(self, first: Layers, summaries: Tensor) -> Tensor:
        """What the heads read of L layers from ``first`` on, from the results of ``summarize``.

        [L, B, C] -> [L, B, C].
        """

    def classify(self, first: Layers, pooled: Tensor) -> Tensor:
        """Logits, or the value of a regression, of L layers from ``first`` on. [L, B, C] -> [L, B, K]."""

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """The lambda module's memory before layer 1; only the shape and type of ``pooled`` matter.

        [B, C] -> [B, ...].
        """

    def halt(self, first: Layers, pooled: Tensor, logits: Tensor | None, memory: Tensor) -> tuple[Tensor, Tensor]:
        """The halting logits of L layers < N from ``first`` on, and the memory for the next layer.

        ``logits`` are those of ``classify``, where it ``halts_by_answers``.
        [L, B, C], [L, B, K], [B, ...] -> [L, B], [B, ...].
        """

    def expect_error(self, first: Layers, pooled: Tensor) -> Tensor:
        """The logits of the expected errors of L layers < N from ``first`` on. [L, B, C] -> [L, B]."""
