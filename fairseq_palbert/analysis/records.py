"""Predictions, scores and posteriors of a recorded split.

Sizes: N layers, E examples, B ways to weight them, K outputs (classes, or 1 for regression).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..ponder.halting import log_posterior
from .recorded_split import RecordedSplit


@dataclass(frozen=True)
class LayerReport:
    """One number for each layer 1..``depth``.

    ``posterior``: the mean over examples, None where the model has no halting logits. ``prior``: None where the
    training had none. ``scores``: the official score if every example exited there, None without labels.
    """

    depth: int
    posterior: list[float] | None
    prior: list[float] | None
    scores: list[float] | None

    def score_at(self, mean_depth: float) -> float:
        """The fixed exits' score at a fractional depth, interpolated linearly between two layers."""
        below = min(int(mean_depth), len(self.scores) - 1)
        return self.scores[below - 1] + (mean_depth - below) * (self.scores[below] - self.scores[below - 1])


def predictions(outputs: Tensor) -> Tensor:
    """Class ids, or values for regression (K = 1). Shape: [..., K] -> [...]."""
    return outputs.squeeze(-1) if outputs.shape[-1] == 1 else outputs.argmax(-1)


def score(recorded: RecordedSplit, outputs: Tensor) -> dict[str, float]:
    """The task's metrics, with the official one as ``score``; empty where the split has no labels. Shape: [E, K]."""
    if recorded.targets is None:
        return {}
    return recorded.metrics.of_units(recorded.metrics.units(outputs, recorded.references))


def posterior(recorded: RecordedSplit) -> Tensor:
    """p_n of every example, in float64; needs halting logits. Shape: [N, E]."""
    return log_posterior(recorded.recording.halting_logits.double()).exp()


def layer_report(recorded: RecordedSplit) -> LayerReport:
    scores = None
    if recorded.targets is not None:
        scores = [score(recorded, outputs)["score"] for outputs in recorded.recording.logits]
    return LayerReport(
        depth=recorded.depth,
        posterior=posterior(recorded).mean(1).tolist() if recorded.halts else None,
        prior=recorded.prior,
        scores=scores,
    )


def expected_score(recorded: RecordedSplit) -> float:
    """The expectation of sampling's official score over its random numbers; see ``expected_scores``."""
    return float(expected_scores(recorded, torch.ones(1, len(recorded.ids), dtype=torch.float64)))


def expected_scores(recorded: RecordedSplit, weights: Tensor) -> Tensor:
    """The same for weighted examples: each layer's answer counts p_n times the example's weight.

    Exact for accuracy, Σ_n p_n [ŷ_n right], top-5 accuracy and errors. F1 and Matthews are computed from the expected
    counts, Pearson from the expected sums, Spearman likewise from the answers' ranks. That is the limit of the score
    over many pooled samples. There is no such form for a group, whose rows exit each by itself. Shape: [B, E] -> [B].
    """
    units = torch.cat([recorded.metrics.units(outputs, recorded.references) for outputs in recorded.recording.logits])
    by_layer = weights.unsqueeze(1) * posterior(recorded)  # [B, N, E]
    return recorded.metrics.weighted(units, by_layer.flatten(1))
