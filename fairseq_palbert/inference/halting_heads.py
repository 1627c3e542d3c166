"""The lambda module and the learned-exit head, as exit rules read them.

Sizes: L consecutive layers, B sentences, C hidden units.
"""

from torch import Tensor

from ..exits.base import ExitRule
from ..modules.depthwise import Layers
from .network import PonderingNetwork


def reads_answers(network: PonderingNetwork, rule: ExitRule) -> bool:
    """Whether every layer has to be classified: the rule, or the lambda module that it uses, reads the answers."""
    return rule.reads_logits or rule.reads_halting and network.halts_by_answers


def read_heads(network: PonderingNetwork, first: Layers, pooled: Tensor, logits: Tensor | None, memory: Tensor | None,
               halts: bool, expects_error: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Halting logits and error logits of L layers < N from ``first`` on, and the lambda module's memory after them.

    Heads that are not requested give None. ``logits`` are given where ``reads_answers``; ``memory`` is None before
    layer 1.
    Shape: [L, B, C], [L, B, K], [B, ...] -> [L, B], [L, B], [B, ...].
    """
    halting_logits = None
    if halts:
        memory = network.initial_memory(pooled) if memory is None else memory
        halting_logits, memory = network.halt(first, pooled, logits, memory)
    return halting_logits, network.expect_error(first, pooled) if expects_error else None, memory
