"""The depth loop over batches: sentences that exit leave the batch, and nothing is computed that no one reads.

Sizes: N layers, E examples, B sentences still in the batch, T tokens (padding included), C hidden units, K outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..exits.base import AllDepthsRule, Decisions, ExitRule, Recording, Rule, Seen
from ..ponder.halting import at_least_float32
from .batching import length_sorted_batches, pad
from .network import PonderingNetwork


@dataclass(frozen=True)
class Workload:
    """Sentences (each [T_i], token ids), their ids in the split (by default their places), and how to run them."""

    sentences: list[Tensor]
    padding_id: int
    batch_size: int
    device: torch.device = torch.device("cpu")
    ids: Tensor | None = None

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """(places [B], tokens [B, T]) with sentences of similar length together, every sentence once."""
        lengths = [len(sentence) for sentence in self.sentences]
        for places in length_sorted_batches(lengths, self.batch_size):
            tokens = pad([self.sentences[i] for i in places], self.padding_id)
            yield torch.tensor(places), tokens.to(self.device)

    def ids_of(self, places: Tensor) -> Tensor:
        return (places if self.ids is None else self.ids[places]).to(self.device)


@torch.inference_mode()
def decide(network: PonderingNetwork, rule: Rule, workload: Workload) -> Decisions:
    """What the rule makes of every sentence, on the CPU in the order given, float32 at least.

    The network is in evaluation mode and on the workload's device. Raises UserError for a rule that does not fit it.
    """
    rule.check(network)
    places, outputs, exit_layers = [], [], []
    for batch, tokens in workload.batches():
        decided = decide_batch(network, rule, tokens, workload.ids_of(batch), workload.padding_id)
        places.append(batch)
        outputs.append(decided.outputs.cpu())
        exit_layers.append(decided.exit_layers.cpu())
    order = torch.cat(places).argsort()
    return Decisions(torch.cat(outputs)[order], torch.cat(exit_layers)[order])


@torch.inference_mode()
def record(network: PonderingNetwork, workload: Workload) -> Recording:
    """Every layer of every sentence, on the CPU in the order given, float32 at least."""
    places, batches = [], []
    for batch, tokens in workload.batches():
        places.append(batch)
        batches.append(record_batch(network, tokens))
    order = torch.cat(places).argsort()

    def joined(parts: list[Tensor | None]) -> Tensor | None:
        return None if parts[0] is None else torch.cat([part.cpu() for part in parts], dim=1)[:, order]

    return Recording(*(joined([getattr(batch, item.name) for batch in batches]) for item in fields(Recording)))


def record_batch(network: PonderingNetwork, tokens: Tensor) -> Recording:
    """All depths of one batch. Shape: tokens [B, T] -> a recording of B examples."""
    hidden, attended = network.embed(tokens), network.attended(tokens)
    memory = None
    halting_logits, logits, error_logits = [], [], []
    for n in range(1, network.depth + 1):
        hidden = network.step(n, hidden, attended)
        pooled = network.pool(n, hidden)
        logits.append(network.classify(n, pooled))
        if network.halts and n < network.depth:
            halting_logit, memory = _halt(network, n, pooled, memory)
            halting_logits.append(halting_logit)
        if network.learns_exit and n < network.depth:
            error_logits.append(network.expect_error(n, pooled))
    return Recording(*(at_least_float32(torch.stack(by_layer)) if by_layer else None
                       for by_layer in (halting_logits, logits, error_logits)))


def decide_batch(network: PonderingNetwork, rule: Rule, tokens: Tensor, example_ids: Tensor,
                 padding_id: int) -> Decisions:
    """One batch, its rows in the given order. Shape: tokens [B, T], ids [B] -> B decisions, float32 at least."""
    if isinstance(rule, AllDepthsRule):
        recording = record_batch(network, tokens)
        outputs = rule.combine(recording.halting_logits, recording.logits)
        return Decisions(outputs, torch.full_like(example_ids, network.depth))
    batch = _Survivors(network, rule, tokens, example_ids, padding_id)
    rows, outputs, exit_layers = [], [], []
    for n in range(1, network.depth + 1):
        leaves, logits = batch.advance(n)
        if leaves.any():
            rows.append(batch.rows[leaves])
            outputs.append(logits)
            exit_layers.append(torch.full_like(rows[-1], n))
            if leaves.all():
                break
            batch.keep(~leaves)
    order = torch.cat(rows).argsort()
    return Decisions(at_least_float32(torch.cat(outputs)[order]), torch.cat(exit_layers)[order])


class _Survivors:
    """The sentences still in the batch: ``rows`` are their places in it, and every other tensor has a row for each."""

    def __init__(self, network: PonderingNetwork, rule: ExitRule, tokens: Tensor, example_ids: Tensor, padding_id: int):
        self.network = network
        self.rule = rule
        self.rows = torch.arange(len(tokens), device=tokens.device)
        self.tokens = tokens
        self.lengths = tokens.ne(padding_id).sum(1)
        self.attended = network.attended(tokens)
        self.hidden = network.embed(tokens)
        self.memory: Tensor | None = None
        self.state = rule.start(example_ids)

    def advance(self, n: int) -> tuple[Tensor, Tensor]:
        """Through layer n. Shape: who leaves, bool [B], and the logits of those alone, [leaving, K]."""
        self.hidden = self.network.step(n, self.hidden, self.attended)
        pooled = self.network.pool(n, self.hidden)
        if n == self.network.depth:
            return torch.ones_like(self.rows, dtype=torch.bool), self.network.classify(n, pooled)
        halting_logits = logits = error_logits = None
        if self.rule.reads_halting:
            halting_logits, self.memory = _halt(self.network, n, pooled, self.memory)
        if self.rule.reads_logits:
            logits = self.network.classify(n, pooled)
        if self.rule.reads_errors:
            error_logits = self.network.expect_error(n, pooled)
        leaves, self.state = self.rule.leaves(Seen(n, halting_logits, logits, error_logits), self.state)
        return leaves, self.network.classify(n, pooled[leaves]) if logits is None else logits[leaves]

    def keep(self, stays: Tensor) -> None:
        """Drops the other rows, and the columns that only they filled. Shape: bool [B]."""
        self.rows, self.lengths, self.state = self.rows[stays], self.lengths[stays], self.state[stays]
        longest = int(self.lengths.max())
        self.tokens = self.tokens[stays, :longest]
        self.hidden = self.hidden[stays, :longest]
        self.attended = self.network.attended(self.tokens)
        if self.memory is not None:
            self.memory = self.memory[stays]


def _halt(network: PonderingNetwork, n: int, pooled: Tensor, memory: Tensor | None) -> tuple[Tensor, Tensor]:
    return network.halt(n, pooled, network.initial_memory(pooled) if memory is None else memory)
