"""Tests of priors on the exit layer, and of the divergence from them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.ponder.halting import cdf, exit_layer, expected_depth
from fairseq_palbert.ponder.prior import (
    PRIOR_REMAINDERS,
    PRIORS,
    default_lambda,
    depth_for_tail,
    kl_divergence,
    log_prior,
)

LAMBDAS = (0.05, 0.1, 0.15, 0.2, 0.3)
# Mean depths of the geometric prior at N = 12, to two decimals.
MEAN_DEPTHS = {"last": (9.19, 7.18, 5.72, 4.66, 3.29), "renormalise": (5.89, 5.28, 4.68, 4.11, 3.16)}


@pytest.mark.parametrize("remainder", PRIOR_REMAINDERS)
@pytest.mark.parametrize("index", range(len(LAMBDAS)))
def test_mean_depth_of_the_geometric_prior(remainder, index):
    mean = expected_depth(log_prior("geometric", 12, LAMBDAS[index], remainder).exp())
    assert mean.item() == pytest.approx(MEAN_DEPTHS[remainder][index], abs=0.01)


@pytest.mark.parametrize("depth", [1, 2, 12])
def test_geometric_prior_equals_the_loop(depth, slow_geometric_prior):
    wanted = slow_geometric_prior(depth, 0.3)
    assert log_prior("geometric", depth, 0.3).exp().tolist() == pytest.approx(wanted, abs=1e-15)
    truncated = [0.3 * 0.7 ** n for n in range(depth)]
    renormalised = log_prior("geometric", depth, 0.3, "renormalise").exp().tolist()
    assert renormalised == pytest.approx([p / sum(truncated) for p in truncated], abs=1e-15)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("depth", [1, 2, 12, 48])
def test_every_prior_sums_to_one(name, depth):
    for lambda_p in (0.01, 0.1, 0.9):
        for remainder in PRIOR_REMAINDERS:
            log_p = log_prior(name, depth, lambda_p, remainder)
            assert log_p.dtype == torch.float64 and log_p.exp().sum().item() == pytest.approx(1, abs=1e-12)


def test_normal_prior_peaks_at_the_mean_of_the_geometric():
    p = log_prior("normal", 12, 0.2).exp()
    assert p.argmax().item() + 1 == 5
    assert (p[4] / p[5]).item() == pytest.approx(math.e) and (p[4] / p[6]).item() == pytest.approx(math.exp(4))


def test_uniform_prior():
    assert log_prior("uniform", 4, 0.1).exp().tolist() == pytest.approx([0.25] * 4)


@pytest.mark.parametrize("arguments", [("geometric", 12, 0.0), ("geometric", 12, 1.0), ("poisson", 12, 0.1),
                                       ("geometric", 12, 0.1, "first")])
def test_impossible_priors_are_refused(arguments):
    with pytest.raises(ValueError):
        log_prior(*arguments)


@pytest.mark.parametrize("lambda_p, tail, depth", [(0.1, 0.05, 29), (0.2, 0.05, 14), (0.3, 0.05, 9), (0.1, 0.01, 44),
                                                   (0.5, 0.25, 2), (0.5, 0.5, 1), (0.9, 0.5, 1)])
def test_the_depth_whose_tail_is_small_enough(lambda_p, tail, depth):
    """0.9^28 = 0.0523 and 0.9^29 = 0.0471; 0.5^2 = 0.25 exactly."""
    assert depth_for_tail(lambda_p, tail) == depth


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_no_smaller_depth_has_so_small_a_tail(lambda_p, tail):
    depth = depth_for_tail(lambda_p, tail)
    log_tails = [n * math.log1p(-lambda_p) for n in (depth, depth - 1)]
    assert log_tails[0] <= math.log(tail) < log_tails[1]


@pytest.mark.parametrize("tail", [0.05, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("lambda_p", [1e-9, 1e-15, 1e-16, 1e-17, 3e-100, 1e-300])
def test_the_depth_of_a_small_parameter(lambda_p, tail):
    assert depth_for_tail(lambda_p, tail) == pytest.approx(-math.log(tail) / lambda_p, rel=1e-6)


@pytest.mark.parametrize("arguments", [(0.0, 0.05), (1.0, 0.05), (0.1, 0.0), (0.1, 1.0), (5e-324, 0.05)])
def test_impossible_tails_are_refused(arguments):
    with pytest.raises(ValueError):
        depth_for_tail(*arguments)


def prior_exit_layer(depth: int, lambda_p: float) -> int:
    """Returns the exit layer of Q-exit at 0.5 when the posterior is the geometric prior.

    Then λ_n = λ_p at every layer.
    """
    logits = torch.full((depth - 1, 1), math.log(lambda_p / (1 - lambda_p)), dtype=torch.float64)
    return exit_layer(cdf(logits), 0.5).item()


def test_default_lambda_leaves_at_the_same_relative_depth():
    assert default_lambda(12) == pytest.approx(0.1, abs=1e-12)
    assert 0.159 < default_lambda(6) <= 0.206
    assert [prior_exit_layer(depth, default_lambda(depth)) for depth in (6, 12, 24)] == [4, 7, 14]
    # With PALBERT's own 0.1, no sentence would exit early from 6 layers.
    assert prior_exit_layer(6, 0.1) == 6


def test_default_lambda_keeps_the_survival_at_a_relative_depth():
    for depth in (3, 6, 24):
        assert (1 - default_lambda(depth)) ** (depth / 3) == pytest.approx(0.9 ** 4)


def test_no_default_without_layers():
    with pytest.raises(ValueError):
        default_lambda(0)


def test_kl_divergence_equals_the_loop():
    p = torch.tensor([[0.7, 0.1], [0.2, 0.6], [0.1, 0.3]], dtype=torch.float64)
    q = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    for ours, theirs in ((p, q[:, None]), (q[:, None], p)):
        kl = kl_divergence(ours.log(), theirs.log())
        for b in range(2):
            wanted = 0.0
            for n in range(3):
                a, c = ours.expand(3, 2)[n, b].item(), theirs.expand(3, 2)[n, b].item()
                wanted += a * math.log(a / c)
            assert kl[b].item() == pytest.approx(wanted, abs=1e-12)
    assert kl_divergence(p.log(), p.log()).tolist() == [0.0, 0.0]


def test_mass_of_zero_adds_nothing_to_the_divergence():
    log_p = torch.tensor([[0.0], [-2400.0]], requires_grad=True)
    kl = kl_divergence(log_p, torch.tensor([[math.log(0.5)], [math.log(0.5)]]))
    assert kl.item() == pytest.approx(math.log(2))
    kl.backward()
    assert log_p.grad.isfinite().all()
