"""The heads that a rule may read beside the classifier.

Sizes: L consecutive layers, B sentences, C hidden units.
"""

from torch import Tensor

from ..exits.base import ExitRule
from ..modules.depthwise import Layers
from .network import PonderingNetwork


def reads_answers(network: PonderingNetwork, rule: ExitRule) -> bool:
    """Whether every layer has to be classified for the rule: it reads the answers, or the lambda module does that it
    asks."""
    return rule.reads_logits or rule.reads_halting and network.halts_by_answers


def read_heads(network: PonderingNetwork, first: Layers, pooled: Tensor, logits: Tensor | None, memory: Tensor | None,
               halts: bool, expects_error: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Halting logits and error logits of L layers < N from ``first`` on, and the lambda module's memory after them; of
    a head that is not wanted, None.

    ``logits`` are there where ``reads_answers``; ``memory`` is None before layer 1.
    Shape: [L, B, C], [L, B, K], [B, ...] -> [L, B], [L, B], [B, ...].
    """
    halting_logits = None
    if halts:
        memory = network.initial_memory(pooled) if memory is None else memory
        halting_logits, memory = network.halt(first, pooled, logits, memory)
    return halting_logits, network.expect_error(first, pooled) if expects_error else None, memory
