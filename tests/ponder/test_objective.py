"""Tests of the objective, expected loss plus β times KL, in the paper's and the published code's form."""

import json
import math
import os
from pathlib import Path

import pytest
import torch

from fairseq_palbert.ponder.halting import cdf, exit_layer
from fairseq_palbert.ponder.objective import PonderObjective

PAPER = {}
RELEASED = {"kl_direction": "prior_posterior", "posterior_remainder": "none", "halting_epsilon": 0.05}


def draw(layers: int, batch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(layers, batch, generator=generator, dtype=torch.float64)
    return logits, 2 * torch.rand(layers, batch, generator=generator, dtype=torch.float64)


def read(objective: PonderObjective, logits: torch.Tensor, losses: torch.Tensor):
    return objective(logits[:-1] if objective.posterior_remainder == "last" else logits, losses)


@pytest.mark.parametrize("seed, size", enumerate([(1, 1), (2, 3), (5, 2), (12, 7)]))
def test_the_papers_objective_equals_the_nested_loop(seed, size, slow_posterior, slow_geometric_prior):
    """L = Σ_n p_n L(ŷ_n, y) + β Σ_n p_n log(p_n / prior_n) (PonderNet, arXiv 2107.05407, section 2, training loss)."""
    logits, losses = draw(*size, seed)
    got = read(PonderObjective(beta=0.3, lambda_p=0.2), logits, losses)
    prior = slow_geometric_prior(size[0], 0.2)
    for b in range(size[1]):
        p = slow_posterior(logits[:, b].tolist())
        task_loss = kl = 0.0
        for n in range(size[0]):
            task_loss += p[n] * losses[n, b].item()
            kl += p[n] * math.log(p[n] / prior[n])
        assert got.task_loss[b].item() == pytest.approx(task_loss, abs=1e-9)
        assert got.kl[b].item() == pytest.approx(kl, abs=1e-9)
        assert got.loss[b].item() == pytest.approx(task_loss + 0.3 * kl, abs=1e-9)


@pytest.mark.parametrize("seed, size", enumerate([(1, 1), (2, 3), (5, 2), (12, 7)]))
def test_the_second_normalisation_equals_the_nested_loop(seed, size, slow_renormalised_posterior):
    """Both p and the prior are divided by their sums (PonderNet, section 2)."""
    logits, losses = draw(*size, seed)
    got = read(PonderObjective(beta=0.3, lambda_p=0.2, posterior_remainder="renormalise",
                               prior_remainder="renormalise"), logits, losses)
    truncated = [0.2 * 0.8 ** n for n in range(size[0])]
    for b in range(size[1]):
        p = slow_renormalised_posterior(logits[:, b].tolist())
        task_loss = sum(p[n] * losses[n, b].item() for n in range(size[0]))
        kl = sum(p[n] * math.log(p[n] / (truncated[n] / sum(truncated))) for n in range(size[0]))
        assert got.task_loss[b].item() == pytest.approx(task_loss, abs=1e-9)
        assert got.kl[b].item() == pytest.approx(kl, abs=1e-9)
        assert got.loss[b].item() == pytest.approx(task_loss + 0.3 * kl, abs=1e-9)


@pytest.mark.parametrize("options", [PAPER, {"posterior_remainder": "renormalise"}, {"layer_cost": 0.1}])
def test_gradients_equal_finite_differences(options):
    objective = PonderObjective(beta=0.3, lambda_p=0.2, **options)
    inputs = [tensor.requires_grad_() for tensor in draw(6, 3, 0)]
    assert torch.autograd.gradcheck(lambda *both: read(objective, *both).loss, inputs, eps=1e-6, atol=1e-4, rtol=0)


@pytest.mark.parametrize("epsilon", [0.0, 0.05, 0.4])
@pytest.mark.parametrize("seed, size", enumerate([(1, 1), (2, 3), (5, 2), (12, 7)]))
def test_the_released_objective_equals_the_nested_loop(seed, size, epsilon, slow_released_posterior,
                                                       slow_geometric_prior):
    logits, losses = draw(*size, seed)
    got = read(PonderObjective(beta=0.3, lambda_p=0.2, **{**RELEASED, "halting_epsilon": epsilon}), logits, losses)
    prior = slow_geometric_prior(size[0], 0.2)
    batch, computed = slow_released_posterior(logits.T.tolist(), epsilon)
    for b, p in enumerate(batch):
        task_loss = kl = 0.0
        for n in range(size[0]):
            task_loss += p[n] * losses[n, b].item() if n < computed else 0.0
            kl += prior[n] * math.log(prior[n] / p[n])
        assert got.task_loss[b].item() == pytest.approx(task_loss, abs=1e-9)
        assert got.kl[b].item() == pytest.approx(kl, abs=1e-9)
        assert got.loss[b].item() == pytest.approx(task_loss + 0.3 * kl, abs=1e-9)


def test_three_layers_by_hand():
    """With λ = 1/2 everywhere, p = 1/2, 1/4, 1/4 is the prior of λ_p = 1/2 itself.

    The published code gives layer 3 only 1/8.
    """
    logits, losses = torch.zeros(3, 1, dtype=torch.float64), torch.tensor([[1.0], [2.0], [4.0]], dtype=torch.float64)
    paper = read(PonderObjective(beta=2.0, lambda_p=0.5), logits, losses)
    assert (paper.task_loss.item(), paper.kl.item(), paper.loss.item()) == pytest.approx((2.0, 0.0, 2.0), abs=1e-12)
    released = read(PonderObjective(beta=2.0, lambda_p=0.5, **RELEASED), logits, losses)
    kl = math.log(2) / 4
    assert (released.task_loss.item(), released.kl.item(), released.loss.item()) == pytest.approx(
        (1.5, kl, 1.5 + 2 * kl), abs=1e-12)


@pytest.fixture(scope="module")
def cases() -> list[dict]:
    """Returns four small cases of both objectives in float64, from a file beside the raw GLUE tasks."""
    if "GLUE_DIR" not in os.environ:
        pytest.skip("GLUE_DIR is unset: no reference cases of the objectives")
    path = Path(os.environ["GLUE_DIR"]).parent / "objective_cases.json"
    if not path.exists():
        pytest.skip(f"no {path.name} beside GLUE_DIR: no reference cases of the objectives")
    return json.loads(path.read_text())


@pytest.mark.parametrize("version, options, kl", [("paper", PAPER, "kl_posterior_prior"),
                                                  ("as_released", RELEASED, "kl_prior_posterior")])
def test_reference_cases(cases, version, options, kl):
    assert len(cases) == 4
    for case in cases:
        logits = torch.tensor(case["halting_logits"], dtype=torch.float64).T
        losses = torch.tensor(case["layer_losses"], dtype=torch.float64).T
        got = read(PonderObjective(beta=case["beta"], lambda_p=case["lambda_p"], **options), logits, losses)
        wanted = case[version]
        assert got.p.T.flatten().tolist() == pytest.approx([p for row in wanted["p"] for p in row], rel=0, abs=1e-9)
        assert (got.task_loss.mean().item(), got.kl.mean().item(), got.loss.mean().item()) == pytest.approx(
            (wanted["task_loss"], wanted[kl], wanted["loss"]), rel=0, abs=1e-9)
        if version == "paper":
            assert exit_layer(cdf(logits[:-1]), 0.5).tolist() == wanted["q_exit_layer_at_0_5"]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("options", [PAPER, {"kl_direction": "prior_posterior"}, RELEASED, {"prior": "normal"},
                                     {"posterior_remainder": "renormalise"},
                                     {"prior": "uniform", "prior_remainder": "renormalise"}])
def test_extreme_logits_give_finite_losses_and_gradients(options, dtype, autocast):
    values = torch.tensor([-100.0, 0.0, 100.0])
    logits = torch.cartesian_prod(values, values, values).T.repeat(4, 1).to(dtype).requires_grad_()
    losses = torch.rand(12, 27, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = read(PonderObjective(beta=0.5, lambda_p=0.1, **options), logits, losses).loss
    assert loss.dtype == torch.float32 and loss.isfinite().all()
    loss.sum().backward()
    assert logits.grad.isfinite().all() and losses.grad.isfinite().all()


def test_the_divergence_and_its_gradient_vanish_at_the_prior():
    logits = torch.full((5, 1), math.log(0.3 / 0.7), dtype=torch.float64, requires_grad=True)
    kl = PonderObjective(beta=1.0, lambda_p=0.3)(logits, torch.zeros(6, 1, dtype=torch.float64)).kl
    kl.backward()
    assert kl.item() == pytest.approx(0, abs=1e-12) and logits.grad.abs().max() <= 1e-12
