"""From halting logits to the distribution of the exit layer.

Sizes: N layers, B sentences. Layers are counted 1..N in formulas and lie on dimension 0 of every tensor. The halting
probability of layer n is λ_n = σ(l_n); the last layer takes the remainder, so only the N − 1 logits before it are read.
All results are float32, or float64 where the logits are.

Source: PonderNet (arXiv 2107.05407, section 2) and PALBERT (arXiv 2204.03276, section 3), in log space.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def at_least_float32(x: Tensor) -> Tensor:
    """``x`` with half precision converted to float32; float32 and float64 stay as they are."""
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def log_survival(halting_logits: Tensor) -> Tensor:
    """log P(no exit up to and including layer n) = Σ_{j≤n} log σ(−l_j).

    Shape: any number of layers K on dimension 0, [K, B] -> [K, B], in nats.
    """
    return logsigmoid(-at_least_float32(halting_logits)).cumsum(0)


def log_survival_after(log_survival_before: Tensor, halting_logits: Tensor) -> Tensor:
    """log survival_n = log survival_{n−1} + log σ(−l_n), in the precision of the first argument.

    Shape: [B] and [B] -> [B], in nats.
    """
    return log_survival_before + logsigmoid(-halting_logits.to(log_survival_before.dtype))


def cdf_from_log_survival(log_survival: Tensor) -> Tensor:
    """CDF_n = −expm1(log survival_n): within [0, 1] and non-decreasing for any logits. Shape is kept."""
    return -torch.expm1(log_survival)


def cdf(halting_logits: Tensor) -> Tensor:
    """CDF_n = 1 − ∏_{j≤n} (1 − λ_j) for n < N, and CDF_N = 1.

    Shape: [N − 1, B] -> [N, B].
    """
    before_last = cdf_from_log_survival(log_survival(halting_logits))
    return torch.cat([before_last, before_last.new_ones(1, before_last.shape[1])])


def exit_layer(cdf: Tensor, threshold: float) -> Tensor:
    """Q-exit: the first n with CDF_n > q, at the latest layer N. Shape: [N, B] -> [B], layers counted from 1.

    Source: PALBERT (arXiv 2204.03276, "Q-exit").
    """
    passed = cdf > threshold
    passed[-1] = True
    return passed.int().argmax(0) + 1


def log_posterior(halting_logits: Tensor) -> Tensor:
    """log p_n = log λ_n + Σ_{j<n} log(1 − λ_j) for n < N, and log p_N = Σ_{j<N} log(1 − λ_j).

    The last layer takes the remainder, so Σ_n p_n = 1. Shape: [N − 1, B] -> [N, B], in nats.
    """
    halting_logits = at_least_float32(halting_logits)
    survived = _log_survival_before(halting_logits)
    return torch.cat([logsigmoid(halting_logits) + survived[:-1], survived[-1:]])


def renormalised_log_posterior(halting_logits: Tensor) -> Tensor:
    """log p of the exit layer given an exit at or before layer N: p_n = q_n / Σ_m q_m with q_n = λ_n ∏_{j<n} (1 − λ_j).

    The second of PonderNet's two normalisations (arXiv 2107.05407, section 2). Shape: [N, B] -> [N, B], in nats.
    """
    return _log_halting(halting_logits).log_softmax(0)


def released_log_posterior(halting_logits: Tensor, epsilon: float) -> tuple[Tensor, int]:
    """log p of PALBERT's published code: not normalised, and floored once almost all mass is spent.

    p_n = λ_n ∏_{j<n} (1 − λ_j) for every n ≤ N, without a remainder on layer N. It is ε/N instead wherever the running
    sum of p before layer n, with replaced values, exceeds 1 − ε. ``epsilon=0`` keeps every p_n.

    Shape: [N, B] -> log p [N, B] in nats, and the number of layers that the published code computes. It stops before
    the first layer at which every row of the batch exceeds 1 − ε, and omits the later layers from the task loss.
    Source: github.com/tinkoff-ai/palbert, described in the README under "As released".
    """
    log_p = _log_halting(halting_logits)
    depth = computed = halting_logits.shape[0]
    if epsilon == 0:
        return log_p, computed
    floor = torch.full_like(log_p[0], epsilon / depth).log()
    floored, spent = [], torch.zeros_like(floor)
    for n in range(depth):
        halted = spent > 1 - epsilon
        if computed == depth and bool(halted.all()):
            computed = n
        floored.append(torch.where(halted, floor, log_p[n]))
        spent = spent + floored[-1].exp()
    return torch.stack(floored), computed


def expected_depth(p: Tensor) -> Tensor:
    """Σ_n n p_n, in layers. Shape: [N, B] -> [B], or [N] -> a scalar."""
    layers = torch.arange(1, p.shape[0] + 1, dtype=p.dtype, device=p.device)
    # Not a matrix product, which autocast would compute in half precision.
    return (layers.view(-1, *[1] * (p.dim() - 1)) * p).sum(0)


def _log_halting(halting_logits: Tensor) -> Tensor:
    """log λ_n + Σ_{j<n} log(1 − λ_j), without a remainder. Shape: [N, B] -> [N, B]."""
    halting_logits = at_least_float32(halting_logits)
    return logsigmoid(halting_logits) + _log_survival_before(halting_logits)[:-1]


def _log_survival_before(halting_logits: Tensor) -> Tensor:
    """Row n is Σ_{j<n} log(1 − λ_j), which is 0 in row 1. Shape: [K, B] -> [K + 1, B]."""
    survived = log_survival(halting_logits)
    return torch.cat([survived.new_zeros(1, survived.shape[1]), survived])
