"""The heads that a rule may read beside the classifier.

Sizes: B sentences, C hidden units.
"""

from torch import Tensor

from .network import Layers, PonderingNetwork


def read_heads(network: PonderingNetwork, n: Layers, pooled: Tensor, memory: Tensor | None, halts: bool,
               expects_error: bool) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Halting logits, error logits and the lambda module's memory after layer n < N; of a head that is not wanted, None.

    ``memory`` is None before layer 1. Shape: [B, C], [B, ...] -> [B], [B], [B, ...].
    """
    halting_logits = None
    if halts:
        memory = network.initial_memory(pooled) if memory is None else memory
        halting_logits, memory = network.halt(n, pooled, memory)
    return halting_logits, network.expect_error(n, pooled) if expects_error else None, memory
