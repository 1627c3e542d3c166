"""Measures of a recorded split: oracle, overthinking, calibration, trade-off areas.

Sizes: N layers, E examples, K classes, M points of a trade-off curve.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.metrics import roc_auc_score
from torch import Tensor

from ..exits.rules.confidence import confidence
from .recorded_split import RecordedSplit
from .records import posterior, predictions, score

CALIBRATION_BINS = 15


@dataclass(frozen=True)
class Oracle:
    """The exits of an oracle that knows the labels: its official ``score`` and its ``mean_exit`` layer."""

    score: float
    mean_exit: float


def errors(recorded: RecordedSplit, answers: Tensor) -> Tensor:
    """The error of each answer, in float64: 0 or 1 for classes, |ŷ − y| for regression. Shape: [..., E] -> [..., E]."""
    if recorded.task.regression:
        return (answers.double() - recorded.targets.double()).abs()
    return answers.ne(recorded.targets).double()


def oracle(recorded: RecordedSplit) -> Oracle:
    """Each example exits at the first of the layers that err least on it; layer 1 where all err alike.

    No exit rule errs less on any example, or as little at less depth. Source: the shallow-deep network's oracle (arXiv
    1810.07052, section 4), which instead sends an example that every layer gets wrong to layer N.
    """
    logits = recorded.recording.logits
    exit_layers = errors(recorded, predictions(logits)).argmin(0)  # the first of equals
    chosen = logits[exit_layers, torch.arange(len(exit_layers))]
    return Oracle(score(recorded, chosen)["score"], float(exit_layers.double().mean()) + 1)


def overthinking(recorded: RecordedSplit) -> dict[str, float]:
    """Two shares of all examples.

    ``overthinking``: some layer before N errs less than N. ``underthinking``: N errs less than layer 1. Source:
    overthinking in the shallow-deep network (arXiv 1810.07052), for classes: right at an earlier layer and wrong at N.
    """
    wrong = errors(recorded, predictions(recorded.recording.logits))
    return {"overthinking": _share(wrong.amin(0) < wrong[-1]), "underthinking": _share(wrong[-1] < wrong[0])}


def against_the_last_layer(recorded: RecordedSplit, answers: Tensor) -> dict[str, float]:
    """Two shares of all examples; empty where the split has no labels.

    ``gained``: the answer [E] errs less than layer N's. ``lost``: it errs more.
    """
    if recorded.targets is None:
        return {}
    wrong, at_last = errors(recorded, answers), errors(recorded, predictions(recorded.recording.logits[-1]))
    return {"gained": _share(wrong < at_last), "lost": _share(wrong > at_last)}


def calibration_error(confidences: Tensor, right: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """The expected calibration error, ECE = Σ_b |B_b| / E · |mean right − mean confidence|.

    B_b are the examples whose confidence is in (b/bins, (b + 1)/bins]. Source: On Calibration of Modern Neural Networks
    (arXiv 1706.04599). Shape: [E] and [E] of 0 or 1.
    """
    place = (confidences.double() * bins).ceil().long().clamp(1, bins) - 1
    gaps = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, right.double() - confidences.double())
    return float(gaps.abs().sum() / len(confidences))


def failure_auroc(confidences: Tensor, right: Tensor) -> float | None:
    """The probability that a right answer has more confidence than a wrong one; a tie counts half.

    None where all answers are right, or all wrong. Shape: [E] and [E] of 0 or 1.
    """
    if right.min() == right.max():
        return None
    return float(roc_auc_score(right.numpy(), confidences.numpy()))


def exit_calibration(recorded: RecordedSplit) -> list[dict[str, float | None]] | None:
    """``ece`` and ``auroc`` of every layer's largest probability; None for regression, which has no probabilities."""
    if recorded.task.regression:
        return None
    right = 1 - errors(recorded, predictions(recorded.recording.logits))
    return [{"ece": calibration_error(confidences, of_layer), "auroc": failure_auroc(confidences, of_layer)}
            for confidences, of_layer in zip(confidence(recorded.recording.logits), right)]


def posterior_entropy(recorded: RecordedSplit) -> float | None:
    """The mean of −Σ_n p_n log p_n over examples, in nats; None where there are no halting logits."""
    if not recorded.halts:
        return None
    return float(torch.special.entr(posterior(recorded)).sum(0).mean())


def curve_area(costs: ArrayLike, scores: ArrayLike, low: float, high: float) -> np.ndarray:
    """The mean score between the costs ``low`` and ``high``, with straight lines between points:

        1 / (high − low) ∫ s(c) dc,  s(c_i) = score i,  constant before the first point and after the last.

    A random choice between two neighbouring thresholds reaches every point of the line between them. No point is chosen
    for its score. Where ``low`` is ``high``, as for one layer, it is s(low). Shape: [..., M] and [..., M], in any order
    -> [...].
    """
    order = np.argsort(costs, axis=-1, kind="stable")
    costs, scores = (np.take_along_axis(np.asarray(values, dtype=float), order, -1) for values in (costs, scores))
    if low == high:
        return np.vectorize(partial(np.interp, low), signature="(m),(m)->()")(costs, scores)
    edges = np.clip(costs, low, high)
    width, slope = np.diff(edges), np.diff(scores) / np.maximum(np.diff(costs), np.finfo(float).tiny)
    middle = (edges[..., 1:] + edges[..., :-1]) / 2 - costs[..., :-1]
    inside = np.where(width > 0, width * (scores[..., :-1] + slope * middle), 0).sum(-1)
    ends = (edges[..., 0] - low) * scores[..., 0] + (high - edges[..., -1]) * scores[..., -1]
    return (inside + ends) / (high - low)


def static_advantage(costs: list[float], scores: list[float], static_costs: list[float],
                     static_scores: list[float]) -> float:
    """The mean over points of the score minus the static exits' score at the same cost.

    Straight lines connect the static exits. Source: ELUE's score (arXiv 2110.07038, section 3.3), with this model's own
    static exits in place of ElasticBERT. Shape: M and M, N and N by ascending cost.
    """
    return float(np.mean(np.array(scores) - np.interp(costs, static_costs, static_scores)))


def _share(of_examples: Tensor) -> float:
    return float(of_examples.double().mean())
