"""One exit rule on one split: what it decides, how well, how deep, how fast."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from ..exits.base import Decisions, Rule
from ..glue.metrics import GlueMetrics
from ..inference.engine import Workload, decide
from ..inference.network import PonderingNetwork
from .loading import Split
from .records import predictions, score

WARM_UP_BATCHES = 2


@dataclass(frozen=True)
class Timed:
    """The engine's decisions for all sentences, and the seconds it took, padding and sorting included."""

    decisions: Decisions
    seconds: float


def timed_decisions(network: PonderingNetwork, rule: Rule, workload: Workload) -> Timed:
    """Runs the engine once over everything, after a warm-up on its first batches."""
    _warm_up(network, rule, workload)
    _synchronise(workload.device)
    start = time.perf_counter()
    decisions = decide(network, rule, workload)
    _synchronise(workload.device)
    return Timed(decisions, time.perf_counter() - start)


def score_row(rule: Rule, timed: Timed, depth: int, split: Split, metrics: GlueMetrics, run: dict) -> dict:
    """One line of ``scores.jsonl``. Depths are in layers; the percentile is the first layer by which 95 % have left, the
    deviation that of the split itself (not of a sample); ``run`` (batch size, device, dtype) is appended."""
    layers = timed.decisions.exit_layers.numpy()
    return {
        "rule": rule.name,
        "threshold": rule.parameter,
        "metrics": score(metrics, predictions(timed.decisions.outputs), split),
        "examples": len(layers),
        "mean_exit": float(layers.mean()),
        "median_exit": float(np.median(layers)),
        "p95_exit": int(np.percentile(layers, 95, method="inverted_cdf")),
        "sd_exit": float(layers.std()),
        "exit_histogram": np.bincount(layers - 1, minlength=depth).tolist(),
        "layer_speedup": depth / float(layers.mean()),
        "seconds": timed.seconds,
        "sentences_per_second": len(layers) / timed.seconds,
        **run,
    }


def _warm_up(network: PonderingNetwork, rule: Rule, workload: Workload) -> None:
    first = sorted(workload.sentences, key=len, reverse=True)[:WARM_UP_BATCHES * workload.batch_size]
    decide(network, rule, Workload(first, workload.padding_id, workload.batch_size, workload.device))


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
