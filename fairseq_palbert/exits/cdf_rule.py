"""Exit at the first layer whose CDF passes a threshold (``q_exit``, ``sampling``)."""

from abc import abstractmethod

import torch
from torch import Tensor

from ..ponder.halting import cdf_from_log_survival, log_survival_after
from .base import ExitRule, Seen


class CdfRule(ExitRule):
    """Exit at the first n with CDF_n > threshold, one threshold per sentence.

    The state is [B, 2] in float64, whatever the model's precision: log survival so far (nats), and the threshold.
    """

    reads_halting = True

    @abstractmethod
    def thresholds(self, example_ids: Tensor) -> Tensor:
        """The threshold of each sentence. Shape: [B] -> float64 [B]."""

    def start(self, example_ids: Tensor) -> Tensor:
        thresholds = self.thresholds(example_ids)
        return torch.stack([torch.zeros_like(thresholds), thresholds], dim=1)

    def leaves(self, seen: Seen, state: Tensor) -> tuple[Tensor, Tensor]:
        survival, thresholds = state.unbind(1)
        survival = log_survival_after(survival, seen.halting_logits)
        return cdf_from_log_survival(survival) > thresholds, torch.stack([survival, thresholds], dim=1)
