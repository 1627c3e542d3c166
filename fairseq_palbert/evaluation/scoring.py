"""One exit rule on one split: what it decides, how well, how deep, how fast."""

import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..exits.base import Decisions, Rule
from ..exits.sampling import Sampling
from ..inference.engine import Workload, decide
from ..inference.network import PonderingNetwork
from ..modules.flops import exit_flops
from .measures import against_the_last_layer
from .recorded_split import RecordedSplit
from .records import expected_score, predictions, score

WARM_UP_SENTENCES = 64


@dataclass(frozen=True)
class Scored:
    """A rule, what it decided for every example, and its line of ``scores.jsonl``."""

    rule: Rule
    decisions: Decisions
    row: dict


def describe(recorded: RecordedSplit, rule: Rule, decisions: Decisions) -> dict:
    """How well and how deep: what is known without a clock.

    Depths are in layers: the percentile is the first layer by which 95 % have left, the deviation that of the split
    itself (not of a sample). ``mean_flops`` is that of ``modules.flops`` over sentences.
    """
    layers = decisions.exit_layers.numpy()
    flops = exit_flops(recorded.encoder, recorded.heads, recorded.lengths, decisions.exit_layers, rule.reads_halting,
                       rule.reads_logits, rule.reads_errors)
    answers = predictions(decisions.outputs)
    metrics = score(recorded, answers)
    if isinstance(rule, Sampling) and metrics:
        metrics["expected_score"] = expected_score(recorded)
    return {
        "exit": rule.spec,
        "rule": rule.name,
        "threshold": rule.parameter,
        "metrics": metrics,
        **against_the_last_layer(recorded, answers),
        "examples": len(layers),
        "mean_exit": float(layers.mean()),
        "median_exit": float(np.median(layers)),
        "p95_exit": int(np.percentile(layers, 95, method="inverted_cdf")),
        "sd_exit": float(layers.std()),
        "exit_histogram": np.bincount(layers - 1, minlength=recorded.depth).tolist(),
        "mean_flops": float(flops.double().mean()),
        "layer_speedup": recorded.depth / float(layers.mean()),
    }


@dataclass(frozen=True)
class Scorer:
    """What all rules of a run share. ``dtype`` names the precision."""

    network: PonderingNetwork
    workload: Workload
    recorded: RecordedSplit
    dtype: str

    def __call__(self, rule: Rule) -> Scored:
        """Runs the engine and scores what it decides.

        ``seconds`` is one run over the split, sorting and packing included, after a warm-up.
        """
        decisions, seconds = self._timed(rule)
        return Scored(rule, decisions, {
            **describe(self.recorded, rule, decisions),
            "seconds": seconds,
            "sentences_per_second": len(decisions.exit_layers) / seconds,
            "batch_size": self.workload.window.sentences,
            "device": self.workload.device.type,
            "dtype": self.dtype,
        })

    def _timed(self, rule: Rule) -> tuple[Decisions, float]:
        longest = sorted(self.workload.sentences, key=len, reverse=True)[:WARM_UP_SENTENCES]
        decide(self.network, rule, replace(self.workload, sentences=longest, ids=None))
        _synchronise(self.workload.device)
        start = time.perf_counter()
        decisions = decide(self.network, rule, self.workload)
        _synchronise(self.workload.device)
        return decisions, time.perf_counter() - start


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
