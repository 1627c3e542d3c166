"""The active sentences: those that have not exited yet.

Sizes: N layers, B active sentences, R tokens of all of them, C hidden units, K outputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..exits.base import ExitRule, Seen, of_layer
from ..modules.batch import PackedBatch
from ..ponder.halting import at_least_float32
from .halting_heads import read_heads, reads_answers
from .network import PonderingNetwork


@dataclass(frozen=True)
class Exited:
    """Sentences that have exited: ``places`` in the workload, ``outputs`` [B, K] and ``exit_layers`` [B]."""

    places: Tensor
    outputs: Tensor
    exit_layers: Tensor


def through_layer(network: PonderingNetwork, n: int, hidden: Tensor, batch: PackedBatch, step_tokens: int) -> Tensor:
    """``step`` for about ``step_tokens`` rows at a time, in place. Shape: [R, C] -> [R, C]."""
    for rows, part in batch.parts(step_tokens):
        hidden[rows] = network.step(n, hidden[rows], part)
    return hidden


class ActiveSentences:
    """The sentences that have been admitted and have not exited.

    ``hidden`` has a row per token, every other tensor a row per sentence. ``layers`` [B] is the last layer that each
    sentence has passed, 0 on admission; sentences differ in it only where layers share their weights.
    """

    batch: PackedBatch

    def __init__(self, network: PonderingNetwork, rule: ExitRule):
        self.network = network
        self.rule = rule
        self.lengths: list[int] = []

    def admit(self, places: Tensor, example_ids: Tensor, sentences: list[Tensor]) -> None:
        """Add B' sentences. Shape: [B'] and [B'] on the network's device, token ids [T_i] each."""
        batch = self.network.packed(sentences)
        hidden = self.network.embed(batch)
        memory = self.network.initial_memory(hidden[:len(sentences)]) if self.rule.reads_halting else None
        arrived = places, torch.zeros_like(places), hidden, self.rule.start(example_ids).clone(), memory
        if self.lengths:
            batch = self.batch.followed_by(batch)
            present = self.places, self.layers, self.hidden, self.state, self.memory
            arrived = [None if new is None else torch.cat([old, new]) for old, new in zip(present, arrived)]
        self.batch, self.lengths = batch, batch.lengths
        self.places, self.layers, self.hidden, self.state, self.memory = arrived

    def advance(self, step_tokens: int) -> Exited | None:
        """Moves every sentence through its next layer, and returns those that exit there, if any."""
        network = self.network
        self.layers = self.layers + 1
        n = int(self.layers[0])  # the same for all, or any of them where layers share their weights
        self.hidden = through_layer(network, n, self.hidden, self.batch, step_tokens)
        pooled = network.pool(self.layers, network.summarize(self.hidden, self.batch)[None])
        logits = network.classify(self.layers, pooled) if reads_answers(network, self.rule) else None
        leaves = self._decide(pooled, logits)
        if not leaves.any():
            return None
        outputs = network.classify(self.layers[leaves], pooled[:, leaves]) if logits is None else logits[:, leaves]
        exited = Exited(self.places[leaves], at_least_float32(outputs[0]), self.layers[leaves])
        self._keep(~leaves)
        return exited

    def _decide(self, pooled: Tensor, logits: Tensor | None) -> Tensor:
        """Which sentences exit: all at layer N, and those that the rule selects.

        Shape: [1, B, C], [1, B, K] -> bool [B].
        """
        leaves = self.layers == self.network.depth
        if leaves.all():
            return leaves
        undecided = (~leaves).nonzero().squeeze(1) if leaves.any() else slice(None)
        n = self.layers[undecided]
        memory = None if self.memory is None else self.memory[undecided]
        halting_logits, error_logits, memory = read_heads(self.network, n, pooled[:, undecided],
                                                          None if logits is None else logits[:, undecided], memory,
                                                          self.rule.reads_halting, self.rule.reads_errors)
        if memory is not None:
            self.memory[undecided] = memory
        seen = Seen(n, of_layer(halting_logits, 0), None if logits is None else logits[0, undecided],
                    of_layer(error_logits, 0))
        leaves[undecided], self.state[undecided] = self.rule.leaves(seen, self.state[undecided])
        return leaves

    def _keep(self, stays: Tensor) -> None:
        rows, self.batch = self.batch.keep(stays)
        self.lengths = self.batch.lengths
        self.hidden = self.hidden[rows]
        self.places, self.layers, self.state = self.places[stays], self.layers[stays], self.state[stays]
        self.memory = None if self.memory is None else self.memory[stays]
