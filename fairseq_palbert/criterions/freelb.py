"""Adversarial noise on the tokens' embeddings.

Sizes: B sentences, T tokens (padding included), E embedding units.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FreeLB:
    """K = ``steps`` passes with noise that climbs the loss; training takes the mean of their losses.

    δ_0 is uniform in ±ε / √(T_i E); δ_{k+1} = δ_k + α g / ‖g‖, g the gradient of the loss in δ_k, drawn back to ‖δ‖ ≤
    ε, all norms L2 over a sentence, whose T_i tokens without padding alone have noise. Source: FreeLB (arXiv
    1909.11764, algorithm 1); dropout is drawn anew in every pass. It takes K times the memory and time.
    """

    steps: int
    lr: float
    norm: float

    def passes(self, loss_of: Callable[[Tensor], Tensor], real: Tensor, width: int) -> Iterator[Tensor]:
        """The loss of every pass, a scalar each; ``loss_of`` takes the noise [B, T, E]. Shape: ``real`` [B, T],
        bool."""
        mask = real.unsqueeze(-1).float()
        noise = torch.empty(*real.shape, width, device=real.device).uniform_(-1, 1) * mask
        noise *= self.norm / (real.sum(1) * width).sqrt()[:, None, None]
        for k in range(self.steps):
            noise.requires_grad_()
            loss = loss_of(noise)
            if k + 1 < self.steps:
                uphill, = torch.autograd.grad(loss, noise, retain_graph=True)
                noise = self._climbed(noise.detach(), uphill * mask)
            yield loss

    def _climbed(self, noise: Tensor, uphill: Tensor) -> Tensor:
        noise = noise + self.lr * uphill / _norms(uphill).clamp(min=torch.finfo(uphill.dtype).tiny)
        return noise * (self.norm / _norms(noise).clamp(min=self.norm))


def _norms(noise: Tensor) -> Tensor:
    """Shape: [B, T, E] -> [B, 1, 1]."""
    return noise.flatten(1).norm(dim=1)[:, None, None]
