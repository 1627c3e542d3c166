"""What a recorded split says of depth: how far an exit rule could get, where deeper is worse, and whether exits know
when they are wrong.

Sizes: N layers, E examples, K classes, M points of a trade-off curve.
"""

from dataclasses import dataclass

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
    """The exits of one who knows the labels: the ``score``, in the task's official metric, and the ``mean_exit``."""

    score: float
    mean_exit: float


def errors(recorded: RecordedSplit, answers: Tensor) -> Tensor:
    """How wrong each answer is: 0 or 1 for classes, |ŷ − y| for regression, in float64. Shape: [..., E] -> [..., E]."""
    if recorded.metrics.task.regression:
        return (answers.double() - recorded.targets.double()).abs()
    return answers.ne(recorded.targets).double()


def oracle(recorded: RecordedSplit) -> Oracle:
    """Each example leaves at the first of the layers that err least on it, so at layer 1 where all err alike.

    No exit rule errs less on any example, or as little at less depth. Source: the shallow-deep network's oracle (arXiv
    1810.07052, section 4), which sends what every layer gets wrong to layer N instead.
    """
    answers = predictions(recorded.recording.logits)
    exit_layers = errors(recorded, answers).argmin(0)  # the first of equals
    chosen = answers.gather(0, exit_layers[None])[0]
    return Oracle(score(recorded, chosen)["score"], float(exit_layers.double().mean()) + 1)


def overthinking(recorded: RecordedSplit) -> dict[str, float]:
    """Parts of all examples. ``overthinking``: some layer before N errs less than N; ``underthinking``: N errs less
    than layer 1.

    Source: overthinking after the shallow-deep network (arXiv 1810.07052), for classes: right earlier and wrong at N.
    """
    wrong = errors(recorded, predictions(recorded.recording.logits))
    return {"overthinking": _part(wrong.amin(0) < wrong[-1]), "underthinking": _part(wrong[-1] < wrong[0])}


def against_the_last_layer(recorded: RecordedSplit, answers: Tensor) -> dict[str, float]:
    """Parts of all examples: ``gained`` where the answer [E] errs less than layer N's, ``lost`` where it errs more;
    empty where the split has no labels."""
    if recorded.targets is None:
        return {}
    wrong, at_last = errors(recorded, answers), errors(recorded, predictions(recorded.recording.logits[-1]))
    return {"gained": _part(wrong < at_last), "lost": _part(wrong > at_last)}


def calibration_error(confidences: Tensor, right: Tensor, bins: int = CALIBRATION_BINS) -> float:
    """ECE = Σ_b |B_b| / E · |mean right − mean confidence| over ``bins`` equal intervals (b/bins, (b + 1)/bins] of
    0..1.

    Source: On Calibration of Modern Neural Networks (arXiv 1706.04599). Shape: [E] and [E] of 0 or 1.
    """
    place = (confidences.double() * bins).ceil().long().clamp(1, bins) - 1
    gaps = torch.zeros(bins, dtype=torch.float64).index_add_(0, place, right.double() - confidences.double())
    return float(gaps.abs().sum() / len(confidences))


def failure_auroc(confidences: Tensor, right: Tensor) -> float | None:
    """The chance that a right answer has more confidence than a wrong one, ties half; None where all are right or
    wrong.

    Shape: [E] and [E] of 0 or 1.
    """
    if right.min() == right.max():
        return None
    return float(roc_auc_score(right.numpy(), confidences.numpy()))


def exit_calibration(recorded: RecordedSplit) -> list[dict[str, float | None]] | None:
    """``ece`` and ``auroc`` of every layer's largest probability; None for regression, which has none."""
    if recorded.metrics.task.regression:
        return None
    right = 1 - errors(recorded, predictions(recorded.recording.logits))
    return [{"ece": calibration_error(sure, of_layer), "auroc": failure_auroc(sure, of_layer)}
            for sure, of_layer in zip(confidence(recorded.recording.logits), right)]


def posterior_entropy(recorded: RecordedSplit) -> float | None:
    """The mean of −Σ_n p_n log p_n over examples, in nats; None where there are no halting logits."""
    if not recorded.halts:
        return None
    return float(torch.special.entr(posterior(recorded)).sum(0).mean())


def curve_area(costs: ArrayLike, scores: ArrayLike, low: float, high: float) -> np.ndarray:
    """The mean score between the costs ``low`` and ``high`` on the straight lines between points:

        1 / (high − low) ∫ s(c) dc,  s(c_i) = score i,  constant before the first point and after the last.

    Between two thresholds s is what a coin between them scores, and no point is chosen for its score. Shape: [..., M]
    and [..., M], in any order -> [...].
    """
    order = np.argsort(costs, axis=-1, kind="stable")
    costs, scores = (np.take_along_axis(np.asarray(values, dtype=float), order, -1) for values in (costs, scores))
    edges = np.clip(costs, low, high)
    width, slope = np.diff(edges), np.diff(scores) / np.maximum(np.diff(costs), np.finfo(float).tiny)
    middle = (edges[..., 1:] + edges[..., :-1]) / 2 - costs[..., :-1]
    inside = np.where(width > 0, width * (scores[..., :-1] + slope * middle), 0).sum(-1)
    ends = (edges[..., 0] - low) * scores[..., 0] + (high - edges[..., -1]) * scores[..., -1]
    return (inside + ends) / (high - low)


def static_advantage(costs: list[float], scores: list[float], static_costs: list[float],
                     static_scores: list[float]) -> float:
    """The mean over points of the score minus that of the static exits at the same cost, on the straight lines between
    them.

    Source: ELUE's score (arXiv 2110.07038, section 3.3), with this model's own static exits for its ElasticBERT. Shape:
    M and M, N and N by ascending cost.
    """
    return float(np.mean(np.array(scores) - np.interp(costs, static_costs, static_scores)))


def _part(of_examples: Tensor) -> float:
    return float(of_examples.double().mean())
