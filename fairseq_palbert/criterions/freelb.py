"""Adversarial noise on the token embeddings (FreeLB).

Sizes: B sentences, T tokens (padding included), E embedding units.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FreeLB:
    """K = ``steps`` passes with noise of rising loss; training minimises the mean of their losses.

    δ_0 is uniform in ±ε / √(T_i E). δ_{k+1} = δ_k + α g / ‖g‖, projected to ‖δ‖ ≤ ε; g is the gradient of the loss at
    δ_k. Norms are L2 over a sentence; its T_i tokens have noise, its padding has none. Dropout is drawn anew in every
    pass. K passes take K times the memory and time. Source: FreeLB (arXiv 1909.11764, algorithm 1).
    """

    steps: int
    lr: float
    norm: float

    def passes(self, loss_of: Callable[[Tensor], Tensor], real: Tensor, width: int) -> Iterator[Tensor]:
        """The loss of each pass, a scalar; ``loss_of`` takes the noise [B, T, E].

        Shape: ``real`` [B, T], bool, false at padding.
        """
        mask = real.unsqueeze(-1).float()
        noise = torch.empty(*real.shape, width, device=real.device).uniform_(-1, 1) * mask
        noise *= self.norm / (real.sum(1) * width).sqrt()[:, None, None]
        for k in range(self.steps):
            noise.requires_grad_()
            loss = loss_of(noise)
            if k + 1 < self.steps:
                gradient, = torch.autograd.grad(loss, noise, retain_graph=True)
                noise = self._step(noise.detach(), gradient * mask)
            yield loss

    def _step(self, noise: Tensor, gradient: Tensor) -> Tensor:
        noise = noise + self.lr * gradient / _norms(gradient).clamp(min=torch.finfo(gradient.dtype).tiny)
        return noise * (self.norm / _norms(noise).clamp(min=self.norm))


def _norms(noise: Tensor) -> Tensor:
    """L2 norms over each sentence. Shape: [B, T, E] -> [B, 1, 1]."""
    return noise.flatten(1).norm(dim=1)[:, None, None]
