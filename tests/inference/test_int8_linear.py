"""Tests of int8 linear layers: they equal the layer up to rounding."""

import pytest
import torch
from torch.nn import functional as F

from fairseq_palbert.inference.int8_linear import INPUT_STEPS, LARGEST_WEIGHT, Int8Linear


def rounded(x, weight, bias):
    """Returns the output by definition: x and W are rounded to their steps and multiplied in float64."""
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    scale = (high - low) / INPUT_STEPS or 1.0
    zero = round(-low / scale)
    steps = torch.floor(x.double() / scale + zero + 0.5)
    scales = weight.double().abs().amax(1, keepdim=True) / LARGEST_WEIGHT
    weight = torch.where(scales > 0, torch.round(weight.double() / scales) * scales, 0)
    return (steps - zero) * scale @ weight.T + bias.double()


@pytest.mark.parametrize("shape", [(1, 24), (7, 24), (2, 5, 24), (300, 24)])
@pytest.mark.parametrize("shift", [-9.0, 0.0, 9.0], ids=["below 0", "around 0", "above 0"])
def test_against_its_definition(shape, shift):
    torch.manual_seed(0)
    linear, x = torch.nn.Linear(24, 56), torch.randn(shape) + shift
    with torch.no_grad():
        found = Int8Linear(linear)(x)
        torch.testing.assert_close(found.double(), rounded(x, linear.weight, linear.bias), rtol=0, atol=1e-4)
        assert 0 < (found - linear(x)).abs().max() < 0.5


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_gives_nan(value):
    x = torch.randn(2, 5, 24)
    x[1, 2, 3] = value
    found = Int8Linear(torch.nn.Linear(24, 56))(x)
    assert found.shape == (2, 5, 56) and found.isnan().all()


def test_zeros_stay_zeros():
    linear = torch.nn.Linear(24, 56)
    with torch.no_grad():
        linear.weight[3] = 0
        int8 = Int8Linear(linear)
        assert int8.scales.min() > 0
        assert int8(torch.zeros(6, 24)).equal(linear.bias.expand(6, -1))
        assert int8(torch.randn(6, 24))[:, 3].equal(linear.bias[3].expand(6))


@pytest.mark.parametrize("low, high",
                         [(-1.0, 1.0), (-0.17, 20.0), (-5.0, 0.001), (0.5, 0.5), (-125.5, 0.5), (-0.5, 125.5)])
def test_the_largest_products_do_not_overflow(low, high):
    """All weights are equal and largest; all inputs are at one end of the range, except one at the other end."""
    linear = torch.nn.Linear(4096, 17)
    torch.nn.init.constant_(linear.weight, 3.0)
    x = torch.full((6, 4096), high)
    x[:, 0] = low
    half_a_step = (max(high, 0) - min(low, 0)) / INPUT_STEPS / 2
    with torch.no_grad():
        torch.testing.assert_close(Int8Linear(linear)(x), linear(x), rtol=1e-5, atol=4096 * 3 * half_a_step)


def test_the_activation_is_applied():
    linear, x = torch.nn.Linear(24, 56), torch.randn(9, 24)
    with torch.no_grad():
        plain, joined = Int8Linear(linear)(x), Int8Linear(linear, ("gelu", "none"))(x)
    torch.testing.assert_close(joined, F.gelu(plain), rtol=0, atol=1e-5)
