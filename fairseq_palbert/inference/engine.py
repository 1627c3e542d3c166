"""The early-exit engine: many sentences at once, without padding.

Sizes: N layers, E examples, B sentences of a batch, K outputs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from ..exits.base import AllDepthsRule, Decisions, ExitRule, Recording, Rule
from ..ponder.halting import at_least_float32
from .active_sentences import ActiveSentences, Exited, through_layer
from .halting_heads import read_heads
from .latency import decide_small_batch, is_small_batch, layers_at_a_time
from .network import PonderingNetwork
from .window import Waiting, Window


@dataclass(frozen=True)
class Workload:
    """Sentences (token ids [T_i] each), their ids in the split (by default their places), and how to run them."""

    sentences: list[Tensor]
    window: Window = Window()
    device: torch.device = torch.device("cpu")
    ids: Tensor | None = None

    def waiting(self) -> Waiting:
        return Waiting([len(sentence) for sentence in self.sentences])

    def at(self, places: list[int]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The places [B] and ids [B] on the device, and the token ids of B sentences as they are."""
        at = torch.tensor(places)
        ids = at if self.ids is None else self.ids[at]
        return at.to(self.device), ids.to(self.device), [self.sentences[place] for place in places]


@torch.inference_mode()
def decide(network: PonderingNetwork, rule: Rule, workload: Workload) -> Decisions:
    """The rule's decisions on all sentences, on the CPU in the order given, at least float32.

    The network is in evaluation mode and on the workload's device. After every layer the active sentences are repacked.
    Where the network ``shares_layers``, waiting sentences then replace those that have exited. Raises UserError for a
    rule that does not fit the network.
    """
    rule.check(network)
    if isinstance(rule, AllDepthsRule):
        recording = record(network, workload)
        outputs = rule.combine(recording.halting_logits, recording.logits)
        return Decisions(outputs, torch.full((len(outputs),), network.depth))
    run = _decide_in_small_batches if is_small_batch(workload.window.sentences, workload.device) else _decide_packed
    exited = [group for group in run(network, rule, workload) if group]
    order = torch.cat([group.places for group in exited]).argsort()
    outputs, exit_layers = (torch.cat([getattr(group, item) for group in exited])[order].cpu()
                            for item in ("outputs", "exit_layers"))
    return Decisions(outputs, exit_layers)


def _decide_packed(network: PonderingNetwork, rule: ExitRule, workload: Workload) -> Iterator[Exited | None]:
    waiting, active = workload.waiting(), ActiveSentences(network, rule)
    while waiting or active.lengths:
        if not active.lengths or network.shares_layers:
            places = waiting.take(workload.window, active.lengths)
            if places:
                active.admit(*workload.at(places))
        yield active.advance(workload.window.step_tokens)


def _decide_in_small_batches(network: PonderingNetwork, rule: ExitRule, workload: Workload) -> Iterator[Exited]:
    waiting, at_a_time = workload.waiting(), layers_at_a_time(network, rule, workload.device)
    while waiting:
        places, example_ids, sentences = workload.at(waiting.take(workload.window, []))
        decided = decide_small_batch(network, rule, sentences, example_ids, at_a_time)
        yield Exited(places, decided.outputs, decided.exit_layers)


@torch.inference_mode()
def record(network: PonderingNetwork, workload: Workload) -> Recording:
    """All layers of all sentences, on the CPU in the order given, at least float32."""
    waiting, places, recordings = workload.waiting(), [], []
    while waiting:
        taken, _, sentences = workload.at(waiting.take(workload.window, []))
        places.append(taken)
        recordings.append(_record_window(network, sentences, workload.window.step_tokens))
    order = torch.cat(places).argsort()

    def joined(parts: list[Tensor | None]) -> Tensor | None:
        return None if parts[0] is None else torch.cat(parts, dim=1)[:, order].cpu()

    return Recording(*(joined([getattr(recording, item.name) for recording in recordings])
                       for item in fields(Recording)))


def _record_window(network: PonderingNetwork, sentences: list[Tensor], step_tokens: int) -> Recording:
    """All layers of B sentences, in their order."""
    batch = network.packed(sentences)
    hidden, memory = network.embed(batch), None
    halting_logits, logits, error_logits = [], [], []
    for n in range(1, network.depth + 1):
        hidden = through_layer(network, n, hidden, batch, step_tokens)
        pooled = network.pool(n, network.summarize(hidden, batch)[None])
        logits.append(network.classify(n, pooled))
        if n < network.depth:
            halting_logit, error_logit, memory = read_heads(network, n, pooled, logits[-1], memory, network.halts,
                                                              network.learns_exit)
            halting_logits.append(halting_logit)
            error_logits.append(error_logit)

    def stacked(by_layer: list[Tensor | None]) -> Tensor | None:
        present = [numbers for numbers in by_layer if numbers is not None]
        return at_least_float32(torch.cat(present)) if present else None

    return Recording(stacked(halting_logits), stacked(logits), stacked(error_logits))
