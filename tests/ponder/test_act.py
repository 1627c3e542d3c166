"""Tests of Adaptive Computation Time against the paper's loop and finite differences."""

import math

import pytest
import torch

from fairseq_palbert.ponder.act import halting, mean_field

SIZES = [(1, 1), (2, 3), (5, 2), (12, 7), (20, 5)]


def draw(layers: int, batch: int, bias: float = -1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns halting logits [N − 1, B] and answers [N, B, 3] in float64."""
    generator = torch.Generator().manual_seed(100 * layers + batch)
    logits = bias + 2 * torch.randn(layers - 1, batch, generator=generator, dtype=torch.float64)
    return logits, torch.randn(layers, batch, 3, generator=generator, dtype=torch.float64)


def slow_act(halting_logits: list[float], answers: list[list[float]], epsilon: float):
    """Returns N(t), R(t), p and the answer y_t = Σ_n p^n y^n of one example, as arXiv 1603.08983 writes them.

    The last step halts whatever its unit says: N(t) is at most the number of steps.
    """
    units = [1 / (1 + math.exp(-logit)) for logit in halting_logits]
    last = len(answers)
    for n in range(1, len(answers) + 1):  # N(t) = min{n' : Σ_{n≤n'} h^n ≥ 1 − ε}
        if n < len(answers) and sum(units[:n]) >= 1 - epsilon:
            last = n
            break
    remainder = 1 - sum(units[:last - 1])  # R(t) = 1 − Σ_{n<N(t)} h^n
    p = [units[n - 1] if n < last else remainder if n == last else 0.0 for n in range(1, len(answers) + 1)]
    answer = [sum(p[n] * answers[n][k] for n in range(len(answers))) for k in range(len(answers[0]))]
    return last, remainder, p, answer


@pytest.mark.parametrize("epsilon", [0.01, 0.2])
@pytest.mark.parametrize("size", SIZES)
def test_it_equals_the_loop_of_the_paper(size, epsilon):
    logits, answers = draw(*size)
    halted = halting(logits, epsilon)
    mixed = mean_field(halted.p, answers)
    for b in range(size[1]):
        steps, remainder, p, answer = slow_act(logits[:, b].tolist(), answers[:, b].tolist(), epsilon)
        assert halted.steps[b].item() == steps
        assert halted.remainder[b].item() == pytest.approx(remainder, abs=1e-6)
        assert halted.p[:, b].tolist() == pytest.approx(p, abs=1e-6)
        assert mixed[b].tolist() == pytest.approx(answer, abs=1e-6)
        assert halted.ponder_cost[b].item() == pytest.approx(steps + remainder, abs=1e-6)


def test_the_drawn_examples_halt_early_late_and_at_the_limit():
    steps = torch.cat([halting(draw(12, 50, bias)[0], 0.01).steps for bias in (-4.0, -1.0, 7.0)])
    assert {1, 2, 12} <= set(steps.tolist())


def test_by_hand():
    """h = 1/4, 3/4, ...: the sum is 1/4, then 1 ≥ 1 − ε, so N = 2, R = 3/4 and p = 1/4, 3/4, 0, 0."""
    logits = torch.tensor([[math.log(1 / 3)], [math.log(3)], [0.0]], dtype=torch.float64)
    halted = halting(logits, 0.01)
    assert halted.steps.tolist() == [2] and halted.remainder.item() == pytest.approx(0.75)
    assert halted.p[:, 0].tolist() == pytest.approx([0.25, 0.75, 0, 0])


@pytest.mark.parametrize("size", SIZES)
def test_gradients_equal_finite_differences(size):
    """N(t) is constant near a point, so the cost has the gradient of R(t), as in the paper (section 2.2)."""
    logits, answers = draw(*size)

    def loss(logits, answers):
        halted = halting(logits, 0.01)
        return (mean_field(halted.p, answers) ** 2).sum() + 0.3 * halted.ponder_cost.sum()

    inputs = logits.requires_grad_(), answers.requires_grad_()
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-6, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_sum_to_one_in_any_precision(dtype):
    logits = torch.cartesian_prod(*[torch.tensor([-100.0, -0.01, 4.0, 100.0])] * 3).T.to(dtype).requires_grad_()
    halted = halting(logits, 0.01)
    assert halted.p.dtype == torch.float32 and (halted.p.sum(0) - 1).abs().max() <= 1e-6
    assert ((halted.remainder >= 0) & (halted.remainder <= 1)).all()
    halted.ponder_cost.sum().backward()
    assert logits.grad.isfinite().all()
