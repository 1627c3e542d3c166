"""References for the times: peak FLOP/s, operations, and the share of heads."""

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from fairseq_palbert.exits.base import Decisions, ExitRule
from fairseq_palbert.modules.flops import embedding_flops, exit_flops, step_flops, summary_flops
from fairseq_palbert.modules.pondering import PonderingClassifier

from .variants import Sentences, ours

PEAK_ROWS = 1024
REPEATS = 5
READ_BYTES = 256 * 2**20


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    _synchronise(device)
    start = time.perf_counter()
    work()
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.inference_mode()
def peak_flops(networks: list[PonderingClassifier], device: torch.device, dtype: torch.dtype) -> float:
    """The largest number of operations a second of a layer's four matrix products at 1024 rows.

    It is the maximum over these networks, which compute them in different ways, of the median of five runs.
    """
    shape = networks[0].encoder.shape
    wide, narrow = (torch.randn(PEAK_ROWS, width, device=device, dtype=dtype)
                    for width in (shape.ffn_hidden, shape.hidden))
    products = 2 * PEAK_ROWS * (4 * shape.hidden**2 + 2 * shape.hidden * shape.ffn_hidden)

    def layer_products(linears: list[nn.Module]) -> None:
        for linear, x in zip(linears, (narrow, narrow, narrow, wide)):
            linear(x)

    best = 0.0
    for network in networks:
        first = network.encoder.layers[0]
        linears = [first.qkv_proj, first.out_proj, first.fc1, first.fc2]
        layer_products(linears)
        times = [seconds_of(partial(layer_products, linears), device) for _ in range(REPEATS)]
        best = max(best, products / statistics.median(times))
    return best


def operations(network: PonderingClassifier, sentences: Sentences, rule: ExitRule,
               decisions: Decisions) -> tuple[float, float]:
    """The operations of all sentences, and the share of pooler, classifier and lambda module in them.

    See ``modules.flops``.
    """
    shape, lengths = network.encoder.shape, torch.tensor([len(sentence) for sentence in sentences.tokens])
    layers = decisions.exit_layers
    heads = network.heads_shape
    everything = exit_flops(shape, heads, lengths, layers, rule.reads_halting, rule.reads_logits, rule.reads_errors)
    encoder = embedding_flops(shape, lengths) + layers * (step_flops(shape, lengths)
                                                          + summary_flops(shape, heads, lengths))
    total = float(everything.double().sum())
    return total, 1 - float(encoder.double().sum()) / total


class TimedHeads:
    """A network that measures the seconds that its heads take.

    ``layers`` counts the sentences' layers that the heads read.
    """

    def __init__(self, network: PonderingClassifier):
        self.network, self.seconds, self.layers = network, 0.0, 0

    def __getattr__(self, name):
        attribute = getattr(self.network, name)
        if name not in ("pool", "classify", "halt", "expect_error"):
            return attribute

        def timed(*arguments):
            start = time.perf_counter()
            result = attribute(*arguments)
            self.seconds += time.perf_counter() - start
            self.layers += len(arguments[1]) if name == "pool" else 0
            return result

        return timed


def heads_part(network: PonderingClassifier, sentences: Sentences, rule: ExitRule,
               at_once: int | None) -> tuple[float, float]:
    """The heads' share of a run's seconds, and their seconds for each layer that they read.

    For a CPU, where a call returns when it is done.
    """
    timed = TimedHeads(network)
    total = seconds_of(lambda: ours(timed, sentences, rule, at_once), sentences.device)
    return timed.seconds / total, timed.seconds / timed.layers


@torch.inference_mode()
def seconds_to_read_heads(network: PonderingClassifier) -> float:
    """The time to read the weights of one layer's heads from memory, at the speed of a sum over 256 MiB."""
    buffer = torch.ones(READ_BYTES // 4)
    buffer.sum()
    second_per_byte = statistics.median(seconds_of(buffer.sum, torch.device("cpu"))
                                        for _ in range(REPEATS)) / READ_BYTES
    heads = [network.pooler.copies[0], network.classifier.copies[0],
             network.lambda_module if network.halts else nn.Identity()]
    return second_per_byte * sum(p.numel() * p.element_size() for head in heads for p in head.parameters())
