"""Decide small batches with low latency.

The sentences stay together without padding or repacking; the lambda module and the host run once for several layers.

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

LAYERS_ON_GPU = 3  # at a time: the host waits for the device at every check
# The time of a layer divided by the time to read its weights, for one sentence of about 25 tokens on a CPU.
LAYER_TIME_OVER_READING = 3
SMALL_BATCH = 8  # sentences: a GPU computes them as fast as one


def is_small_batch(sentences: int | None, device: torch.device) -> bool:
    """Whether this many sentences at a time run faster together than repacked after every layer."""
    return sentences is not None and sentences <= (1 if device.type == "cpu" else SMALL_BATCH)


def layers_at_a_time(network: PonderingNetwork, rule: ExitRule, device: torch.device) -> int:
    """The number of layers that are computed before the rule decides on all of them.

    One row takes a lambda module the time to read its weights, and L rows take no longer. L layers at a time compute
    (L − 1) / 2 layers too many on average, and save (1 − 1 / L) of the reading. With w the ``halting_weight`` and exits
    at N / 2 on average, L = √(w N / ``LAYER_TIME_OVER_READING``) takes the least time.
    """
    if device.type != "cpu":
        return LAYERS_ON_GPU
    weight = network.halting_weight if rule.reads_halting else 0
    return max(1, round(math.sqrt(weight * network.depth / LAYER_TIME_OVER_READING)))


def decide_small_batch(network: PonderingNetwork, rule: ExitRule, sentences: list[Tensor], example_ids: Tensor,
               at_a_time: int) -> Decisions:
    """The decisions, on the network's device, at least float32.

    All sentences stay together until the last one exits; the host checks after every ``at_a_time`` layers, and for one
    sentence on the CPU each of them in turn.
    Shape: token ids [T_i] of B sentences, [B].
    """
    groups = _layer_groups(network, rule, network.packed(sentences), example_ids, at_a_time)
    if len(sentences) == 1 and example_ids.is_cpu:
        return _decide_single(network, groups)
    return _decide_together(network, groups, example_ids)


@dataclass(frozen=True)
class _LayerGroup:
    """L layers from ``first`` on.

    ``pooled`` [L, B, C]; ``logits`` [L, B, K] where the rule reads them; ``leaves``: which sentences exit after each
    layer, bool [B]. After layer N all exit.
    """

    first: int
    pooled: Tensor
    logits: Tensor | None
    leaves: list[Tensor]


def _layer_groups(network: PonderingNetwork, rule: ExitRule, batch: PackedBatch, example_ids: Tensor,
                  at_a_time: int) -> Iterator[_LayerGroup]:
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
        yield _LayerGroup(first, pooled, logits, by_layer)
    pooled = network.pool(depth, network.summarize(network.step(depth, hidden, batch), batch)[None])
    yield _LayerGroup(depth, pooled, None, [torch.ones_like(example_ids, dtype=torch.bool)])


def _decide_single(network: PonderingNetwork, groups: Iterator[_LayerGroup]) -> Decisions:
    for group in groups:
        for i, leaves in enumerate(group.leaves):
            if leaves:
                n = group.first + i
                logits = network.classify(n, group.pooled[i:i + 1])[0] if group.logits is None else group.logits[i]
                return Decisions(at_least_float32(logits), torch.tensor([n]))
    raise AssertionError("every sentence exits after layer N")


def _decide_together(network: PonderingNetwork, groups: Iterator[_LayerGroup], example_ids: Tensor) -> Decisions:
    active = torch.ones_like(example_ids, dtype=torch.bool)
    exit_layers, exit_pooled = torch.zeros_like(example_ids), 0  # z_n at the exit
    for group in groups:
        for n, (leaves, pooled) in enumerate(zip(group.leaves, group.pooled), start=group.first):
            leaves = leaves & active
            exit_pooled = torch.where(leaves[:, None], pooled, exit_pooled)
            exit_layers = torch.where(leaves, n, exit_layers)
            active = active & ~leaves
        if not active.any():
            break
    return Decisions(at_least_float32(network.classify(exit_layers, exit_pooled[None])[0]), exit_layers)
