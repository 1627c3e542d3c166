"""The ordering that PALBERT proposes for one trained model: sampling < Q-exit <= expectation (arXiv 2204.03276).

Sampling counts in its exact expectation, Q-exit at q = 0.5, the median of the posterior.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ...exits.expectation import Expectation
from ...exits.q_exit import QExit
from ..bootstrap import Difference, resampled, score_at
from ..recorded_split import RecordedSplit
from ..records import expected_score, predictions
from ..sweep import decisions
from .curves import BOOTSTRAP_SEED

Q_EXIT = QExit(0.5)


@dataclass(frozen=True)
class Ordering:
    """Scores as means over seeds; ``first`` is Q-exit minus sampling, ``second`` expectation minus Q-exit."""

    sampling: float
    q_exit: float
    expectation: float
    first: Difference
    second: Difference

    @property
    def holds(self) -> bool:
        return self.sampling < self.q_exit <= self.expectation


def ordering(seeds: list[RecordedSplit], resamples: int) -> Ordering:
    """Of the seeds of one method, whose examples are the same."""
    sampling = [_sampling(recorded) for recorded in seeds]
    q_exit, expectation = ([_of_rule(recorded, rule) for recorded in seeds] for rule in (Q_EXIT, Expectation()))
    examples = len(seeds[0].ids)
    everything, scores, drawn = torch.arange(examples), [], []
    for functions in (sampling, q_exit, expectation):
        def mean(places: Tensor) -> float:
            return float(np.mean([function(places) for function in functions]))

        scores.append(mean(everything))
        drawn.append(resampled(mean, examples, resamples, BOOTSTRAP_SEED))
    first, second = (Difference.of(scores[i + 1] - scores[i], drawn[i + 1] - drawn[i]) for i in range(2))
    return Ordering(*scores, first, second)


def _of_rule(recorded: RecordedSplit, rule: QExit | Expectation) -> Callable[[Tensor], float]:
    answers = predictions(decisions(recorded, rule).outputs)
    return lambda places: score_at(recorded.metrics, answers, recorded.targets, places)


def _sampling(recorded: RecordedSplit) -> Callable[[Tensor], float]:
    def score(places: Tensor) -> float:
        drawn = replace(recorded.recording, halting_logits=recorded.recording.halting_logits[:, places],
                        logits=recorded.recording.logits[:, places])
        return expected_score(replace(recorded, targets=recorded.targets[places], recording=drawn))

    return score


def sentence(task: str, method: str, seeds: int, found: Ordering) -> str:
    """What the data shows, sign and all."""
    first, second = (_compared(*step) for step in ((found.first, "sampling"), (found.second, "Q-exit")))
    doubtful = [name for name, step in (("first", found.first), ("second", found.second)) if not step.certain]
    remark = f" The interval of the {' and the '.join(doubtful)} difference includes 0." if doubtful else ""
    return (f"**{method}** on {task} ({seeds} seed{'s' * (seeds > 1)}): Q-exit 0.5 is {first}, and expectation is {second}. "
            f"In the means the ordering sampling < Q-exit ≤ expectation {'holds' if found.holds else 'does not hold'}.{remark}")


def _compared(step: Difference, other: str) -> str:
    relation = "level with" if step.value == 0 else "above" if step.value > 0 else "below"
    return f"{relation} {other} by {step.points}" if step.value else f"{relation} {other} ({step.points})"
