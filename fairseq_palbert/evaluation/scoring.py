"""One exit rule on one split: what it decides, how well, how deep, how fast."""

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..exits.base import Decisions, Rule
from ..exits.sampling import Sampling
from ..glue.metrics import GlueMetrics
from ..inference.engine import Recording, Workload, decide
from ..modules.flops import exit_flops
from ..modules.pondering import PonderingClassifier
from .loading import Split
from .records import expected_score, predictions, score

WARM_UP_BATCHES = 2


@dataclass(frozen=True)
class Scored:
    """A rule, what it decided for every example, and its line of ``scores.jsonl``."""

    rule: Rule
    decisions: Decisions
    row: dict


@dataclass(frozen=True)
class Scorer:
    """What all rules of a run share. ``recording`` has every layer of the split; ``dtype`` names the precision."""

    network: PonderingClassifier
    workload: Workload
    split: Split
    metrics: GlueMetrics
    recording: Recording
    dtype: str

    def __call__(self, rule: Rule) -> Scored:
        """Runs the engine and scores what it decides.

        Depths are in layers: the percentile is the first layer by which 95 % have left, the deviation that of the split
        itself (not of a sample). ``mean_flops`` is that of ``modules.flops`` over sentences. ``seconds`` is one run over the
        split, padding and sorting included, after a warm-up.
        """
        decisions, seconds = self._timed(rule)
        layers = decisions.exit_layers.numpy()
        return Scored(rule, decisions, {
            "exit": rule.spec,
            "rule": rule.name,
            "threshold": rule.parameter,
            "metrics": self._metrics(rule, decisions),
            "examples": len(layers),
            "mean_exit": float(layers.mean()),
            "median_exit": float(np.median(layers)),
            "p95_exit": int(np.percentile(layers, 95, method="inverted_cdf")),
            "sd_exit": float(layers.std()),
            "exit_histogram": np.bincount(layers - 1, minlength=self.network.depth).tolist(),
            "mean_flops": float(self._flops(rule, decisions).double().mean()),
            "layer_speedup": self.network.depth / float(layers.mean()),
            "seconds": seconds,
            "sentences_per_second": len(layers) / seconds,
            "batch_size": self.workload.batch_size,
            "device": self.workload.device.type,
            "dtype": self.dtype,
        })

    def _timed(self, rule: Rule) -> tuple[Decisions, float]:
        longest = sorted(self.workload.sentences, key=len, reverse=True)[:WARM_UP_BATCHES * self.workload.batch_size]
        decide(self.network, rule, replace(self.workload, sentences=longest, ids=None))
        _synchronise(self.workload.device)
        start = time.perf_counter()
        decisions = decide(self.network, rule, self.workload)
        _synchronise(self.workload.device)
        return decisions, time.perf_counter() - start

    def _flops(self, rule: Rule, decisions: Decisions) -> Tensor:
        """Shape: int64 [E]."""
        lengths = torch.tensor([len(sentence) for sentence in self.workload.sentences])
        return exit_flops(self.network.encoder.shape, self.network.heads_shape, lengths, decisions.exit_layers,
                          rule.reads_halting, rule.reads_logits)

    def _metrics(self, rule: Rule, decisions: Decisions) -> dict[str, float]:
        metrics = score(self.metrics, predictions(decisions.outputs), self.split)
        if isinstance(rule, Sampling) and metrics:
            metrics["expected_score"] = expected_score(self.recording, self.split, self.metrics)
        return metrics


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
