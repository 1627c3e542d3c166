"""The heads that a rule may read beside the classifier.

Sizes: L consecutive layers, B sentences, C hidden units.
"""

from torch import Tensor

from .network import Layers, PonderingNetwork


def read_heads(network: PonderingNetwork, first: Layers, pooled: Tensor, memory: Tensor | None, halts: bool,
               expects_error: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Halting logits and error logits of L layers < N from ``first`` on, and the lambda module's memory after them; of a head
    that is not wanted, None.

    ``memory`` is None before layer 1. Shape: [L, B, C], [B, ...] -> [L, B], [L, B], [B, ...].
    """
    halting_logits = None
    if halts:
        memory = network.initial_memory(pooled) if memory is None else memory
        halting_logits, memory = network.halt(first, pooled, memory)
    return halting_logits, network.expect_error(first, pooled) if expects_error else None, memory
