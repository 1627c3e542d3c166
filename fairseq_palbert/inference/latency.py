"""A few sentences, as soon as possible: no padding, no packing anew, and the lambda module and the host seldom asked.

Sizes: N layers, L of them at a time, B sentences, K outputs, C hidden units.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..exits.base import Decisions, ExitRule, Seen, of_layer
from ..modules.batch import PackedBatch
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

    At one row a lambda module takes the time to read its weights, and L rows take no longer. L layers at a time are, in
    the mean, (L − 1) / 2 layers too many, and save (1 − 1 / L) of the reading: with w the ``halting_weight`` and exits
    at N / 2 in the mean, L = √(w N / ``LAYER_OVER_READING``) takes the least time.
    """
    if device.type != "cpu":
        return LAYERS_ON_GPU
    weight = network.halting_weight if rule.reads_halting else 0
    return max(1, round(math.sqrt(weight * network.depth / LAYER_OVER_READING)))


def decide_few(network: PonderingNetwork, rule: ExitRule, sentences: list[Tensor], example_ids: Tensor,
               at_a_time: int) -> Decisions:
    """The decisions on the network's device, float32 at least. All sentences stay together until the last has left;
    the host asks after every ``at_a_time`` layers, a CPU of one sentence after every one of them. Shape: B times
    [T_i], [B]."""
    asked = _ask(network, rule, network.packed(sentences), example_ids, at_a_time)
    if len(sentences) == 1 and example_ids.is_cpu:
        return _decide_one(network, asked)
    return _decide_together(network, asked, example_ids)


@dataclass(frozen=True)
class _Asked:
    """Of L layers from ``first`` on: ``pooled`` [L, B, C], ``logits`` [L, B, K] where the rule needs them, and whom
    it lets go after each, bool [B]; after layer N everybody."""

    first: int
    pooled: Tensor
    logits: Tensor | None
    leaves: list[Tensor]


def _ask(network: PonderingNetwork, rule: ExitRule, batch: PackedBatch, example_ids: Tensor,
         at_a_time: int) -> Iterator[_Asked]:
    depth, classifies = network.depth, reads_answers(network, rule)
    hidden, memory, state = network.embed(batch), None, rule.start(example_ids)
    numbers = torch.arange(1, depth, device=example_ids.device)[:, None].expand(-1, len(example_ids)).unbind()
    for first in range(1, depth, at_a_time):
        layers, summaries = range(first, min(first + at_a_time, depth)), []
        for n in layers:
            hidden = network.step(n, hidden, batch)
            summaries.append(network.summarize(hidden, batch))
        pooled = network.pool(first, torch.stack(summaries))
        logits = network.classify(first, pooled) if classifies else None
        halting_logits, error_logits, memory = read_heads(network, first, pooled, logits, memory, rule.reads_halting,
                                                          rule.reads_errors)
        by_layer = []
        for i, n in enumerate(layers):
            seen = Seen(numbers[n - 1], of_layer(halting_logits, i), of_layer(logits, i), of_layer(error_logits, i))
            leaves, state = rule.leaves(seen, state)
            by_layer.append(leaves)
        yield _Asked(first, pooled, logits, by_layer)
    pooled = network.pool(depth, network.summarize(network.step(depth, hidden, batch), batch)[None])
    yield _Asked(depth, pooled, None, [torch.ones_like(example_ids, dtype=torch.bool)])


def _decide_one(network: PonderingNetwork, asked: Iterator[_Asked]) -> Decisions:
    for some in asked:
        for i, leaves in enumerate(some.leaves):
            if leaves:
                n = some.first + i
                logits = network.classify(n, some.pooled[i:i + 1])[0] if some.logits is None else some.logits[i]
                return Decisions(at_least_float32(logits), torch.tensor([n]))
    raise AssertionError("everybody leaves after layer N")


def _decide_together(network: PonderingNetwork, asked: Iterator[_Asked], example_ids: Tensor) -> Decisions:
    inside = torch.ones_like(example_ids, dtype=torch.bool)
    exit_layers, read = torch.zeros_like(example_ids), 0  # read: what the classifier is to read of each sentence
    for some in asked:
        for n, (leaves, pooled) in enumerate(zip(some.leaves, some.pooled), start=some.first):
            leaves = leaves & inside
            read = torch.where(leaves[:, None], pooled, read)
            exit_layers = torch.where(leaves, n, exit_layers)
            inside = inside & ~leaves
        if not inside.any():
            break
    return Decisions(at_least_float32(network.classify(exit_layers, read[None])[0]), exit_layers)
