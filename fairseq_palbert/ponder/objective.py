"""The training objective: expected loss plus β times a KL term.

Options select the published code's departures from the paper.
"""

from dataclasses import dataclass

from torch import Tensor

from .halting import (
    at_least_float32,
    expected_depth,
    log_posterior,
    released_log_posterior,
    renormalised_log_posterior,
)
from .prior import kl_divergence, log_prior

POSTERIOR_REMAINDERS = ("last", "renormalise", "none")


@dataclass(frozen=True)
class PonderLoss:
    """Per sentence: ``loss`` = ``task_loss`` + c Σ_n n p_n + β ``kl``, each [B]; ``p`` is the posterior, [N, B].

    The KL term is in nats, the task loss in the units of the layers' losses.
    """

    loss: Tensor
    task_loss: Tensor
    kl: Tensor
    p: Tensor


@dataclass(frozen=True)
class PonderObjective:
    """L = Σ_n p_n (L_n + c n) + β KL(p ‖ prior), per sentence; c is ``layer_cost``, by default 0.

    ``kl_direction`` "prior_posterior" gives KL(prior ‖ p). With ``posterior_remainder`` "renormalise" or "none" the
    last layer's halting logit is read too: p_n ∝ λ_n ∏_{j<n} (1 − λ_j) for all n ≤ N, scaled to sum to 1, or with
    "none" as it is. ``halting_epsilon`` then floors p as the published code does (see ``released_log_posterior``).

    Source: PonderNet (arXiv 2107.05407, section 2); PALBERT (arXiv 2204.03276, section 3).
    """

    beta: float
    lambda_p: float
    prior: str = "geometric"
    prior_remainder: str = "last"
    kl_direction: str = "posterior_prior"
    posterior_remainder: str = "last"
    halting_epsilon: float = 0.0
    layer_cost: float = 0.0

    def __call__(self, halting_logits: Tensor, layer_losses: Tensor) -> PonderLoss:
        """The loss. Shape: halting logits [N − 1, B], or [N, B] where the last one is read; layer losses L_n [N, B]."""
        layer_losses = at_least_float32(layer_losses)
        depth = computed = layer_losses.shape[0]
        if self.posterior_remainder == "renormalise":
            log_p = renormalised_log_posterior(halting_logits)
        elif self.posterior_remainder == "none":
            log_p, computed = released_log_posterior(halting_logits, self.halting_epsilon)
        else:
            log_p = log_posterior(halting_logits)
        p = log_p.exp()
        prior = log_prior(self.prior, depth, self.lambda_p, self.prior_remainder).to(log_p).unsqueeze(1)
        kl = kl_divergence(log_p, prior) if self.kl_direction == "posterior_prior" else kl_divergence(prior, log_p)
        task_loss = (p * layer_losses)[:computed].sum(0)
        return PonderLoss(task_loss + self.layer_cost * expected_depth(p) + self.beta * kl, task_loss, kl, p)
