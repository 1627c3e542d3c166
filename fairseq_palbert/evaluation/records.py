"""What one pass over all depths of a split tells: posterior, each layer's own score, sampling's score in expectation.

Sizes: N layers, E examples, K outputs (classes, or 1 for regression).
"""

from dataclasses import dataclass

import torch
from scipy.stats import rankdata
from torch import Tensor

from ..ponder.halting import log_posterior
from .recorded_split import RecordedSplit


@dataclass(frozen=True)
class LayerReport:
    """Per layer 1..``depth``: mean ``posterior`` over examples (None where the model has no halting logits), ``prior``
    (None where the training had none), and the official ``scores`` if every example left there (None without labels)."""

    depth: int
    posterior: list[float] | None
    prior: list[float] | None
    scores: list[float] | None

    def score_at(self, mean_depth: float) -> float:
        """The fixed exit's score at a depth between two layers, on the straight line between them."""
        below = min(int(mean_depth), len(self.scores) - 1)
        return self.scores[below - 1] + (mean_depth - below) * (self.scores[below] - self.scores[below - 1])


def predictions(outputs: Tensor) -> Tensor:
    """Class ids, or the values of a regression (K = 1). Shape: [..., K] -> [...]."""
    return outputs.squeeze(-1) if outputs.shape[-1] == 1 else outputs.argmax(-1)


def score(recorded: RecordedSplit, predicted: Tensor) -> dict[str, float]:
    """The task's metrics, with the official one as ``score``; empty where the split has no labels. Shape: [E]."""
    if recorded.targets is None:
        return {}
    return recorded.metrics(recorded.metrics.statistics(predicted, recorded.targets, recorded.ids, recorded.rows))


def posterior(recorded: RecordedSplit) -> Tensor:
    """p_n of every example, in float64, where there are halting logits. Shape: [N, E]."""
    return log_posterior(recorded.recording.halting_logits.double()).exp()


def layer_report(recorded: RecordedSplit) -> LayerReport:
    scores = None
    if recorded.targets is not None:
        scores = [score(recorded, predicted)["score"] for predicted in predictions(recorded.recording.logits)]
    return LayerReport(
        depth=recorded.depth,
        posterior=posterior(recorded).mean(1).tolist() if recorded.halts else None,
        prior=recorded.prior,
        scores=scores,
    )


def expected_score(recorded: RecordedSplit) -> float:
    """The official score of sampling in expectation over its random numbers: each layer's answer has weight p_n.

    Exact for accuracy, Σ_n p_n [ŷ_n right]. F1 and Matthews are taken of the expected confusion counts, Pearson of
    the expected sums, Spearman likewise of the answers' ranks: the limit of the score over many samples pooled.
    """
    weights, answers, metrics = posterior(recorded), predictions(recorded.recording.logits), recorded.metrics
    if metrics.task.regression:
        return _expected_correlation(weights, answers.double(), recorded.targets.double())
    classes = len(metrics.labels)
    pairs = recorded.targets.long() * classes + answers  # [N, E]
    confusion = torch.bincount(pairs.flatten(), weights.flatten(), minlength=classes * classes)
    return metrics(confusion.view(classes, classes))["score"]


def _expected_correlation(weights: Tensor, answers: Tensor, targets: Tensor) -> float:
    """The mean of Pearson and Spearman over N·E answers with weights. Shape: [N, E], [N, E], [E]."""
    weights, answers, targets = weights.flatten(), answers.flatten(), targets.expand_as(answers).flatten()
    pearson = _weighted_pearson(weights, answers, targets)
    spearman = _weighted_pearson(weights, _weighted_ranks(weights, answers), _weighted_ranks(weights, targets))
    return (pearson + spearman) / 2


def _weighted_pearson(weights: Tensor, x: Tensor, y: Tensor) -> float:
    covariance = torch.cov(torch.stack([x, y]), aweights=weights, correction=0)
    spread = (covariance[0, 0] * covariance[1, 1]).sqrt()
    return float(covariance[0, 1] / spread) if spread > 0 else 0.0


def _weighted_ranks(weights: Tensor, x: Tensor) -> Tensor:
    """The weight below each value plus half the weight at it: at equal weights the mean rank of ties, less a half."""
    place = torch.from_numpy(rankdata(x.numpy(), method="dense") - 1)
    at = torch.bincount(place, weights)
    return (at.cumsum(0) - at / 2)[place]
