"""A few sentences, as soon as possible: no padding, no packing anew, and the lambda module and the host seldom asked.

Sizes: N layers, L of them at a time, B sentences, K outputs, C hidden units.
"""

import math

import torch
from torch import Tensor

from ..exits.base import Decisions, ExitRule, Seen, of_layer
from ..ponder.halting import at_least_float32
from .halting_heads import read_heads, reads_answers
from .network import PonderingNetwork

LAYERS_ON_GPU = 3  # at a time; the host asks seldom where it has to wait for the answer
LAYER_OVER_READING = 3  # the time of a layer over that to read its weights, one sentence of about 25 tokens on a CPU
FEW = 8  # sentences, of which a GPU computes all as fast as one


def is_few(sentences: int | None, device: torch.device) -> bool:
    """Whether so many at a time are better left together than packed anew."""
    return sentences is not None and sentences <= (1 if device.type == "cpu" else FEW)


def layers_at_a_time(network: PonderingNetwork, rule: ExitRule, device: torch.device) -> int:
    """After how many layers the rule is asked, of all of them at once.

    At one row a lambda module takes the time to read its weights, and L rows take no longer. L layers at a time are, in the
    mean, (L − 1) / 2 layers too many, and save (1 − 1 / L) of the reading: with w the ``halting_weight`` and exits at N / 2
    in the mean, L = √(w N / ``LAYER_OVER_READING``) takes the least time.
    """
    if device.type != "cpu":
        return LAYERS_ON_GPU
    weight = network.halting_weight if rule.reads_halting else 0
    return max(1, round(math.sqrt(weight * network.depth / LAYER_OVER_READING)))


def decide_few(network: PonderingNetwork, rule: ExitRule, sentences: list[Tensor], example_ids: Tensor,
               at_a_time: int) -> Decisions:
    """The decisions on the network's device, float32 at least. All sentences stay together until the last has left.

    Who has left is known to the device; the host asks after every ``at_a_time`` layers. Shape: B times [T_i], [B].
    """
    batch = network.packed(sentences)
    hidden, memory, state = network.embed(batch), None, rule.start(example_ids)
    inside = torch.ones_like(example_ids, dtype=torch.bool)
    exit_layers = torch.full_like(example_ids, network.depth)
    read = torch.zeros_like(hidden[batch.first])  # what the classifier is to read of each sentence
    for first in range(1, network.depth, at_a_time):
        layers, summaries = range(first, min(first + at_a_time, network.depth)), []
        for n in layers:
            hidden = network.step(n, hidden, batch)
            summaries.append(network.summarize(hidden, batch))
        pooled = network.pool(first, torch.stack(summaries))
        logits = network.classify(first, pooled) if reads_answers(network, rule) else None
        halting_logits, error_logits, memory = read_heads(network, first, pooled, logits, memory, rule.reads_halting,
                                                          rule.reads_errors)
        for i, n in enumerate(layers):
            seen = Seen(torch.full_like(example_ids, n), of_layer(halting_logits, i), of_layer(logits, i), of_layer(error_logits, i))
            leaves, state = rule.leaves(seen, state)
            leaves = leaves & inside
            read = torch.where(leaves[:, None], pooled[i], read)
            exit_layers = torch.where(leaves, n, exit_layers)
            inside = inside & ~leaves
        if not inside.any():
            break
    else:
        hidden = network.step(network.depth, hidden, batch)
        read = torch.where(inside[:, None], network.pool(network.depth, network.summarize(hidden, batch)[None])[0], read)
    return Decisions(at_least_float32(network.classify(exit_layers, read[None])[0]), exit_layers)
