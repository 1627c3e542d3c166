"""What one pass over all depths of a split tells: posterior, each layer's own score, sampling's score in expectation.

Sizes: N layers, E examples, B ways to weight them, K outputs (classes, or 1 for regression).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..ponder.halting import log_posterior
from .recorded_split import RecordedSplit


@dataclass(frozen=True)
class LayerReport:
    """Per layer 1..``depth``: mean ``posterior`` over examples (None where the model has no halting logits), ``prior``
    (None where the training had none), and the official ``scores`` if every example left there (None without
    labels)."""

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
    """The official score of sampling in expectation over its random numbers; see ``expected_scores``."""
    return float(expected_scores(recorded, torch.ones(1, len(recorded.ids), dtype=torch.float64)))


def expected_scores(recorded: RecordedSplit, weights: Tensor) -> Tensor:
    """The same of examples that count as often as ``weights`` say: each layer's answer has weight p_n times that.

    Exact for accuracy, Σ_n p_n [ŷ_n right]. F1 and Matthews are taken of the expected confusion counts, Pearson of
    the expected sums, Spearman likewise of the answers' ranks: the limit of the score over many samples pooled.
    Shape: [B, E] -> [B].
    """
    answers = predictions(recorded.recording.logits)
    by_layer = weights.unsqueeze(1) * posterior(recorded)  # [B, N, E]
    return recorded.metrics.weighted(answers.flatten(), recorded.targets.expand_as(answers).flatten(),
                                     by_layer.flatten(1))
