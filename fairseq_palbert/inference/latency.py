"""A few sentences, as soon as possible: no padding, no packing anew, and a host that seldom waits for the device.

Sizes: N layers, B sentences, K outputs.
"""

import torch
from torch import Tensor

from ..exits.base import Decisions, ExitRule, Seen
from ..ponder.halting import at_least_float32
from .halting_heads import read_heads
from .network import PonderingNetwork

LOOK_EVERY = 3  # layers; the host asks seldom where it has to wait for the answer
FEW = 8  # sentences, of which a GPU computes all as fast as one


def is_few(sentences: int | None, device: torch.device) -> bool:
    """Whether so many at a time are better left together than packed anew."""
    return sentences is not None and sentences <= (1 if device.type == "cpu" else FEW)


def decide_few(network: PonderingNetwork, rule: ExitRule, sentences: list[Tensor], example_ids: Tensor,
               look_every: int = 1) -> Decisions:
    """The decisions on the network's device, float32 at least. All sentences stay together until the last has left.

    Who has left is known to the device; the host asks after every ``look_every`` layers. Shape: B times [T_i], [B].
    """
    batch = network.packed(sentences)
    hidden, state = network.embed(batch), rule.start(example_ids)
    inside = torch.ones_like(example_ids, dtype=torch.bool)
    exit_layers = torch.full_like(example_ids, network.depth)
    outputs = memory = None
    for n in range(1, network.depth + 1):
        hidden = network.step(n, hidden, batch)
        pooled = network.pool(n, hidden, batch)
        logits = network.classify(n, pooled)
        outputs = logits if outputs is None else torch.where(inside[:, None], logits, outputs)
        if n == network.depth:
            break
        halting_logits, error_logits, memory = read_heads(network, n, pooled, memory, rule.reads_halting, rule.reads_errors)
        leaves, state = rule.leaves(Seen(torch.full_like(example_ids, n), halting_logits, logits, error_logits), state)
        exit_layers = torch.where(inside & leaves, n, exit_layers)
        inside = inside & ~leaves
        if n % look_every == 0 and not inside.any():
            break
    return Decisions(at_least_float32(outputs), exit_layers)
