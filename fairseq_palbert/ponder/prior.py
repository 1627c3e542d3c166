"""Priors over the exit layer 1..N, and the KL divergence.

Source: PonderNet (arXiv 2107.05407, section 2.3); the normal and uniform priors after PALBERT (arXiv 2204.03276).
"""

import math

import torch
from torch import Tensor

PRIORS = ("geometric", "normal", "uniform")
PRIOR_REMAINDERS = ("last", "renormalise")
KL_DIRECTIONS = ("posterior_prior", "prior_posterior")
PALBERT_LAMBDA, PALBERT_DEPTH = 0.1, 12  # github.com/tinkoff-ai/palbert, ALBERT-base


def default_lambda(depth: int) -> float:
    """λ_p = 1 − 0.9^(12/N): the geometric prior with the same mass at each fraction of N layers as PALBERT's at N = 12.

    Its survival (1 − λ_p)^n = 0.9^(12 n/N) depends on n/N alone. With q = 0.5 the prior alone exits at layer 7 of 12
    (λ_p = 0.1) and at layer 4 of 6 (λ_p = 0.19). Raises ValueError for fewer than one layer.
    """
    if depth < 1:
        raise ValueError(f"a prior needs at least one layer, not {depth}")
    return 1 - (1 - PALBERT_LAMBDA) ** (PALBERT_DEPTH / depth)


def depth_for_tail(lambda_p: float, tail: float) -> int:
    """The smallest N with (1 − λ_p)^N ≤ ε: beyond it the untruncated geometric prior has at most the mass ε = ``tail``.

    PonderNet's choice of the number of steps (arXiv 2107.05407, section 2). λ_p = 0.1 and ε = 0.05 give 29, λ_p = 0.2
    gives 14. Raises ValueError for λ_p or ε outside (0, 1), and for an N beyond float64.
    """
    if not 0 < lambda_p < 1 or not 0 < tail < 1:
        raise ValueError(f"the prior's parameter and its tail lie strictly between 0 and 1, not {lambda_p} and {tail}")
    log_tail, log_survival = math.log(tail), math.log1p(-lambda_p)
    if (quotient := log_tail / log_survival) == math.inf:
        raise ValueError(f"no number of steps leaves a tail of {tail} where the prior's parameter is {lambda_p}")
    near = math.ceil(quotient)  # which is rounded
    return next((n for n in (near - 1, near) if n and n * log_survival <= log_tail), near + 1)


def log_prior(name: str, depth: int, lambda_p: float, remainder: str = "last") -> Tensor:
    """log prior over the layers 1..N, in float64 and nats.

    geometric: log λ_p + (n − 1) log(1 − λ_p). ``remainder`` says where the mass beyond N goes: ``last`` adds it to
    layer N, ``renormalise`` scales all layers. normal: ∝ −(n − 1/λ_p)², a Gaussian of variance 1/2 around the geometric
    prior's mean. uniform: −log N.

    Shape: [N]. Raises ValueError for λ_p outside (0, 1) and for unknown names.
    """
    if not 0 < lambda_p < 1:
        raise ValueError(f"the prior's parameter lies strictly between 0 and 1, not {lambda_p}")
    if name not in PRIORS or remainder not in PRIOR_REMAINDERS:
        raise ValueError(f"prior {name!r} with remainder {remainder!r}: choose from {PRIORS} and {PRIOR_REMAINDERS}")
    layers = torch.arange(1, depth + 1, dtype=torch.float64)
    if name == "uniform":
        return torch.full_like(layers, -math.log(depth))
    if name == "normal":
        return (-((layers - 1 / lambda_p) ** 2)).log_softmax(0)
    log_p = math.log(lambda_p) + (layers - 1) * math.log1p(-lambda_p)
    if remainder == "renormalise":
        return log_p.log_softmax(0)
    log_p[-1] = (depth - 1) * math.log1p(-lambda_p)
    return log_p


def kl_divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p ‖ q) = Σ_n p_n (log p_n − log q_n), in nats; a term with p_n = 0 counts 0.

    Shape: [N, B] and [N, B], either one broadcast from [N, 1] -> [B]. Neither has to sum to 1.
    """
    return (log_p.exp() * (log_p - log_q)).sum(0)
