"""Tests of the distribution of the exit layer.

Logits have the shape [N, B]; functions read the first N − 1 rows or all of them.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fairseq_palbert.ponder.halting import (
    cdf,
    cdf_from_log_survival,
    exit_layer,
    expected_depth,
    log_posterior,
    log_survival,
    log_survival_after,
    released_log_posterior,
    renormalised_log_posterior,
)

SIZES = [(1, 1), (2, 3), (5, 1), (7, 5), (13, 2)]
# Batches of halting logits from −100 to 100, as a list of layers.
BATCHES = st.integers(1, 3).flatmap(
    lambda b: st.lists(st.lists(st.floats(-100, 100, width=32), min_size=b, max_size=b), min_size=1, max_size=48)
)


def draw(layers: int, batch: int, scale: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(layers * 100 + batch)
    return scale * torch.randn(layers, batch, generator=generator, dtype=torch.float64)


def extreme(dtype: torch.dtype) -> torch.Tensor:
    """Returns every sequence of three of −100, −1e-3, 0, 30 and 100, each repeated over 24 layers. Shape: [24, 125]."""
    values = torch.tensor([-100.0, -1e-3, 0.0, 30.0, 100.0])
    return torch.cartesian_prod(values, values, values).T.repeat(8, 1).to(dtype)


@pytest.mark.parametrize("size", SIZES)
def test_posterior_equals_the_nested_loop(size, slow_posterior):
    logits = draw(*size)
    p = log_posterior(logits[:-1]).exp()
    for b in range(size[1]):
        assert p[:, b].tolist() == pytest.approx(slow_posterior(logits[:, b].tolist()), abs=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_renormalised_posterior_equals_the_nested_loop(size, slow_renormalised_posterior):
    logits = draw(*size)
    p = renormalised_log_posterior(logits).exp()
    for b in range(size[1]):
        assert p[:, b].tolist() == pytest.approx(slow_renormalised_posterior(logits[:, b].tolist()), abs=1e-12)


def test_renormalised_posterior_of_constant_halting():
    """λ = 1/2 at 3 layers: 1/2, 1/4 and 1/8, divided by 7/8, are 4/7, 2/7 and 1/7.

    The remainder rule gives 1/2, 1/4, 1/4.
    """
    p = renormalised_log_posterior(torch.zeros(3, 1)).exp()
    assert p.flatten().tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])


@pytest.mark.parametrize("size", SIZES)
def test_cdf_is_the_running_sum_of_the_nested_loop(size, slow_posterior):
    logits = draw(*size)
    running = cdf(logits[:-1])
    for b in range(size[1]):
        p = slow_posterior(logits[:, b].tolist())
        assert running[:, b].tolist() == pytest.approx([sum(p[:n + 1]) for n in range(len(p))], abs=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("size", SIZES)
def test_released_posterior_equals_the_nested_loop(size, epsilon, slow_released_posterior):
    logits = draw(*size)
    log_p, computed = released_log_posterior(logits, epsilon)
    expected, expected_computed = slow_released_posterior(logits.T.tolist(), epsilon)
    assert computed == expected_computed
    assert log_p.exp().T.flatten().tolist() == pytest.approx([p for row in expected for p in row], abs=1e-12)


def test_the_batch_of_the_released_code_stops_with_its_slowest_row():
    quick, slow = torch.full((6,), 4.0), torch.full((6,), -4.0)
    assert released_log_posterior(torch.stack([quick, quick], 1), 0.05)[1] == 1
    assert released_log_posterior(torch.stack([quick, slow], 1), 0.05)[1] == 6
    assert released_log_posterior(torch.stack([quick, quick], 1), 0.0)[1] == 6


@settings(max_examples=200)
@given(BATCHES)
def test_p_sums_to_one(layers):
    p = log_posterior(torch.tensor(layers)).exp()
    assert p.dtype == torch.float32 and (p >= 0).all() and (p.sum(0) - 1).abs().max() <= 1e-6


@settings(max_examples=200)
@given(BATCHES)
def test_cdf_never_falls_and_never_passes_one(layers):
    running = cdf(torch.tensor(layers))
    assert (running.diff(dim=0) >= 0).all() and (running >= 0).all() and (running <= 1).all()
    assert (running[-1] == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("autocast", [False, True])
def test_extreme_logits_in_any_precision(dtype, autocast):
    logits = extreme(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        p = log_posterior(logits).exp()
        running = cdf(logits)
        depth = expected_depth(p)
    wanted = torch.float64 if dtype == torch.float64 else torch.float32
    assert {p.dtype, running.dtype, depth.dtype} == {wanted}
    assert (p.sum(0) - 1).abs().max() <= 1e-6
    assert ((running - p.cumsum(0)).abs() <= 1e-6).all()
    assert (running.diff(dim=0) >= 0).all() and (running <= 1).all()
    (p.square().sum() + depth.sum()).backward()
    assert logits.grad.isfinite().all()


def test_extreme_logits_of_the_renormalised_posterior_have_finite_gradients():
    logits = extreme(torch.float32).requires_grad_()
    p = renormalised_log_posterior(logits).exp()
    assert (p.sum(0) - 1).abs().max() <= 1e-6
    p.square().sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("epsilon", [0.0, 0.05])
def test_extreme_logits_of_the_released_posterior_have_finite_gradients(epsilon):
    logits = extreme(torch.float32).requires_grad_()
    log_p, _ = released_log_posterior(logits, epsilon)
    assert (log_p.exp().sum(0) <= 1 + epsilon + 1e-6).all()
    log_p.sum().backward()
    assert logits.grad.isfinite().all()


def test_one_layer_at_a_time_agrees_with_all_at_once():
    logits = draw(12, 7).float()
    survival = torch.zeros(7)
    for n in range(12):
        survival = log_survival_after(survival, logits[n])
        assert torch.allclose(survival, log_survival(logits)[n], rtol=1e-6, atol=1e-6)
        assert torch.allclose(cdf_from_log_survival(survival), cdf(logits)[n], rtol=0, atol=1e-6)


def test_expected_depth():
    p = torch.tensor([[0.5, 0.0, 0.2], [0.25, 0.0, 0.3], [0.25, 1.0, 0.5]])
    assert expected_depth(p).tolist() == pytest.approx([1.75, 3.0, 2.3])
    assert expected_depth(p[:, 0]).item() == 1.75


@pytest.mark.parametrize("q, layers", [(0.0, [1, 2]), (0.2, [2, 3]), (0.5, [2, 3]), (0.6, [3, 3]), (1.0, [3, 3])])
def test_q_exit_leaves_where_the_cdf_first_passes_the_threshold(q, layers):
    running = torch.tensor([[0.2, 0.0], [0.6, 0.2], [1.0, 1.0]], dtype=torch.float64)
    assert exit_layer(running, q).tolist() == layers
