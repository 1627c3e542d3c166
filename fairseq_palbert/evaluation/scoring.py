"""Score and time one exit rule on one split."""

import time
from dataclasses import dataclass, replace

import torch

from ..analysis.describe import describe
from ..analysis.recorded_split import RecordedSplit
from ..exits.base import Decisions, Rule
from ..inference.engine import Workload, decide
from ..inference.network import PonderingNetwork

WARM_UP_SENTENCES = 64


@dataclass(frozen=True)
class Scored:
    """A rule, its decisions for every example, and its line of ``scores.jsonl``."""

    rule: Rule
    decisions: Decisions
    row: dict


@dataclass(frozen=True)
class Scorer:
    """What all rules of a run share. ``dtype`` is the name of the precision."""

    network: PonderingNetwork
    workload: Workload
    recorded: RecordedSplit
    dtype: str

    def __call__(self, rule: Rule) -> Scored:
        """Run the engine and score its decisions.

        ``seconds`` is the time of one run over the split after a warm-up, with sorting and packing.
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
