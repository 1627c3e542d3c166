"""The programs that are timed, each on the same sentences with the same decisions.

(a) stock fairseq, (b) transformers, (c) early exit one sentence at a time, (d) a padded batch that waits for its
slowest row, (e) a padded batch whose exited rows are dropped, (f) ONNX Runtime, (g) this engine.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from fairseq_palbert.exits.base import Decisions, ExitRule, Seen, of_layer
from fairseq_palbert.exits.rules.fixed import Fixed
from fairseq_palbert.inference.engine import Workload, decide
from fairseq_palbert.inference.flags import fitting_window
from fairseq_palbert.inference.halting_heads import read_heads, reads_answers
from fairseq_palbert.inference.reference import decide_alone
from fairseq_palbert.modules.pondering import PonderingClassifier

from .ours import PADDING
from .stock import HEAD

BATCH = 32
AT_ONCE = (1, 8, 32, 128, None)


@dataclass(frozen=True)
class Sentences:
    """The token ids [T_i] of each sentence, and the device to compute on."""

    tokens: list[Tensor]
    device: torch.device

    def padded(self, by_length: bool) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Batches in file order or by length: places [B], tokens [B, T], attended [B, T]."""
        order = sorted(range(len(self.tokens)),
                       key=lambda i: len(self.tokens[i])) if by_length else range(len(self.tokens))
        for start in range(0, len(order), BATCH):
            places = list(order[start:start + BATCH])
            tokens = pad_sequence([self.tokens[i] for i in places], True, PADDING).to(self.device)
            yield torch.tensor(places), tokens, tokens.ne(PADDING).long()

    def padding_ratio(self, by_length: bool) -> float:
        """Padded tokens over real tokens, at batches of 32."""
        return sum(tokens.numel() for _, tokens, _ in self.padded(by_length)) / sum(map(len, self.tokens))


Variant = Callable[[], Decisions]


def ours(network: PonderingClassifier, sentences: Sentences, rule: ExitRule, at_once: int | None) -> Decisions:
    window = replace(fitting_window(network, sentences.device), sentences=at_once)
    return decide(network, rule, Workload(sentences.tokens, window, sentences.device))


def stock(model, sentences: Sentences, depth: int) -> Decisions:
    return _at_full_depth(sentences, False, depth, lambda tokens, _: model(tokens, features_only=True,
                                                                           classification_head_name=HEAD)[0])


def hub(model: nn.Module, sentences: Sentences, depth: int, by_length: bool) -> Decisions:
    return _at_full_depth(sentences, by_length, depth, model)


def onnx(session, sentences: Sentences, depth: int) -> Decisions:
    def run(tokens: Tensor, attended: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"tokens": tokens.numpy(), "attended": attended.numpy()})[0])

    return _at_full_depth(sentences, True, depth, run)


def one_at_a_time(network: PonderingClassifier, sentences: Sentences, rule: ExitRule) -> Decisions:
    """Batches of one sentence with every head at every layer, as published early-exit code runs."""
    decided = [decide_alone(network, rule, sentence.to(sentences.device), i)
               for i, sentence in enumerate(sentences.tokens)]
    return Decisions(torch.cat([of_sentence.outputs for of_sentence in decided]).cpu(),
                     torch.cat([of_sentence.exit_layers for of_sentence in decided]).cpu())


def padded_exits(network: PonderingClassifier, model: nn.Module, sentences: Sentences, rule: ExitRule, by_length: bool,
                 drops: bool) -> Decisions:
    """Layers of ``transformers`` over padded batches, with our heads.

    Rows that have exited wait for the slowest row, or are dropped.
    """
    exited = []
    for places, tokens, attended in sentences.padded(by_length):
        exited += _padded_batch(network, model, rule, places.to(sentences.device), tokens, attended, drops)
    return _in_order(exited)


@torch.inference_mode()
def _padded_batch(network, model, rule, places, tokens, attended, drops) -> list[tuple[Tensor, Tensor, Tensor]]:
    hidden, bias = model.start(tokens)
    inside, state, memory, exited = torch.ones_like(places, dtype=torch.bool), rule.start(places), None, []
    for n in range(1, network.depth + 1):
        hidden = model.step(n, hidden, attended, bias)
        pooled = network.pool(n, model.summarize(hidden, attended)[None])
        logits = network.classify(n, pooled) if reads_answers(network, rule) else None
        leaves = torch.ones_like(inside)
        if n < network.depth:
            halting, errors, memory = read_heads(network, n, pooled, logits, memory, rule.reads_halting,
                                                 rule.reads_errors)
            seen = Seen(torch.full_like(places, n), of_layer(halting, 0), of_layer(logits, 0), of_layer(errors, 0))
            leaves, state = rule.leaves(seen, state)
        leaves = leaves & inside
        answers = network.classify(n, pooled[:, leaves]) if logits is None else logits[:, leaves]
        exited.append((places[leaves], answers[0], torch.full_like(places[leaves], n)))
        inside = inside & ~leaves
        if not inside.any():
            break
        if drops:
            places, hidden, attended, state = (x[inside] for x in (places, hidden, attended, state))
            memory = None if memory is None else memory[inside]
            inside = inside[inside]
    return exited


@torch.inference_mode()
def _at_full_depth(sentences: Sentences, by_length: bool, depth: int,
                   model: Callable[[Tensor, Tensor], Tensor]) -> Decisions:
    return _in_order([(places, model(tokens, attended), torch.full_like(places, depth))
                      for places, tokens, attended in sentences.padded(by_length)])


def _in_order(exited: list[tuple[Tensor, Tensor, Tensor]]) -> Decisions:
    places, outputs, exit_layers = (torch.cat(parts).cpu() for parts in zip(*exited))
    order = places.argsort()
    return Decisions(outputs[order].float(), exit_layers[order])


def full_depth(network, hub_model, stock_model, session, engine, sentences: Sentences) -> dict[str, Variant]:
    """Every variant without early exit, by name. Those without a model or session are left out."""
    depth = network.depth
    variants = {}
    if stock_model is not None:
        variants["a: fairseq, file order"] = lambda: stock(stock_model, sentences, depth)
    variants["b: transformers, file order"] = lambda: hub(hub_model, sentences, depth, by_length=False)
    variants["b: transformers, by length"] = lambda: hub(hub_model, sentences, depth, by_length=True)
    if session is not None:
        variants["f: ONNX Runtime, by length"] = lambda: onnx(session, sentences, depth)
    return variants | _by_window("g: full depth", engine, sentences, Fixed(depth))


def exiting(network, hub_model, engine, sentences: Sentences, rule: ExitRule) -> dict[str, Variant]:
    """Every variant with early exit, by name."""
    return {
        "c: one at a time": lambda: one_at_a_time(network, sentences, rule),
        "d: padded, waiting, file order": lambda: padded_exits(network, hub_model, sentences, rule, False, drops=False),
        "e: padded, dropping, by length": lambda: padded_exits(network, hub_model, sentences, rule, True, drops=True),
    } | _by_window("g: exiting", engine, sentences, rule)


def by_pooling(engines: dict[str, PonderingClassifier], sentences: Sentences, rule: ExitRule) -> dict[str, Variant]:
    """This engine, packed, with each pooling: at full depth, and with the exits of ``rule``.

    ``rule`` has to give the same exits for every pooling.
    """
    rules = {"full depth": Fixed(next(iter(engines.values())).depth), "exiting": rule}
    return {pooling_name(how, pooling): lambda engine=engine, rule=rule: ours(engine, sentences, rule, None)
            for how, rule in rules.items() for pooling, engine in engines.items()}


def pooling_name(how: str, pooling: str) -> str:
    return f"g: {how}, packed, {pooling} pooling"


def packed_name(dtype: str) -> str:
    """The name of a full-depth run of this engine in another precision."""
    return f"g: full depth, packed, {dtype}"


def _by_window(name: str, engine, sentences: Sentences, rule: ExitRule) -> dict[str, Variant]:
    return {f"{name}, {f'batch {at_once}' if at_once else 'packed'}":
                lambda at_once=at_once: ours(engine, sentences, rule, at_once)
            for at_once in AT_ONCE}
