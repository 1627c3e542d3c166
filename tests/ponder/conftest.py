"""Fixtures: the papers' mathematics as slow loops over plain numbers."""

import math

import pytest


@pytest.fixture(scope="session")
def slow_posterior():
    """slow_posterior(halting_logits) returns p of one sentence from its logits of all N layers; the last is not read.

    p_n = λ_n ∏_{j<n} (1 − λ_j) (PonderNet, arXiv 2107.05407, section 2, "p_n"), and the last layer takes what is left,
    p_N = ∏_{j<N} (1 − λ_j) (the same section, on the maximum number of steps).
    """

    def posterior(halting_logits: list[float]) -> list[float]:
        depth = len(halting_logits)
        p = []
        for n in range(1, depth + 1):
            p_n = 1 / (1 + math.exp(-halting_logits[n - 1])) if n < depth else 1.0
            for j in range(1, n):
                p_n *= 1 - 1 / (1 + math.exp(-halting_logits[j - 1]))
            p.append(p_n)
        return p

    return posterior


@pytest.fixture(scope="session")
def slow_renormalised_posterior():
    """slow_renormalised_posterior(halting_logits) returns q_n / Σ_m q_m with q_n = λ_n ∏_{j<n} (1 − λ_j), n ≤ N."""

    def posterior(halting_logits: list[float]) -> list[float]:
        q, survived = [], 1.0
        for logit in halting_logits:
            halting = 1 / (1 + math.exp(-logit))
            q.append(survived * halting)
            survived *= 1 - halting
        return [q_n / sum(q) for q_n in q]

    return posterior


@pytest.fixture(scope="session")
def slow_released_posterior():
    """slow_released_posterior(rows, epsilon) returns p of every sentence of a batch and the number of layers computed.

    It follows the published code of PALBERT. Layer N takes no remainder. ε/N stands in place of p_n where the running
    sum of p before layer n, replaced values included, exceeds 1 − ε. The code stops before the first layer at which
    this sum exceeds 1 − ε for all sentences.
    """

    def posterior(rows: list[list[float]], epsilon: float) -> tuple[list[list[float]], int]:
        depth = len(rows[0])
        batch, spent_before = [], []
        for logits in rows:
            p, spent = [], []
            for n in range(1, depth + 1):
                p_n = 1 / (1 + math.exp(-logits[n - 1]))
                for j in range(1, n):
                    p_n *= 1 - 1 / (1 + math.exp(-logits[j - 1]))
                spent.append(sum(p))
                if epsilon and spent[-1] > 1 - epsilon:
                    p_n = epsilon / depth
                p.append(p_n)
            batch.append(p)
            spent_before.append(spent)
        for n in range(depth):
            if epsilon and all(spent[n] > 1 - epsilon for spent in spent_before):
                return batch, n
        return batch, depth

    return posterior


@pytest.fixture(scope="session")
def slow_geometric_prior():
    """slow_geometric_prior(depth, lambda_p) returns λ_p (1 − λ_p)^{n−1}, and the rest, (1 − λ_p)^{N−1}, at layer N."""

    def prior(depth: int, lambda_p: float) -> list[float]:
        return [lambda_p * (1 - lambda_p) ** (n - 1) for n in range(1, depth)] + [(1 - lambda_p) ** (depth - 1)]

    return prior
