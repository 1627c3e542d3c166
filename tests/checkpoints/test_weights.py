"""Tests of ``check_weights``: the tensors of a file must be plain and finite."""

import math

import pytest
import torch

from fairseq_palbert.checkpoints.formats.weights import check_weights
from fairseq_palbert.errors import UserError

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_finite_numbers_pass_up_to_the_largest(dtype):
    largest = torch.finfo(dtype).max
    tensors = {"a": torch.tensor([largest, largest, -largest, 0.5], dtype=torch.float64).to(dtype),
               "b": torch.zeros(0, 3).to(dtype)}
    check_weights("model.pt", {**tensors, "c": torch.arange(3), "d": torch.randn(4, 3).T.to(dtype)})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 31, 64])
def test_one_number_that_is_not_finite_is_refused(dtype, value, place):
    values = torch.linspace(-1, 1, 65)
    values[place] = value
    with pytest.raises(UserError, match="^model.pt: encoder.bias has numbers that are NaN or infinite"):
        check_weights("model.pt", {"good": torch.ones(3), "encoder.bias": values.to(dtype)})


@pytest.mark.parametrize("entry", [
    torch.zeros(1).expand(10 ** 15), torch.zeros(3).to_sparse(), torch.zeros(3, device="meta"), [0.0], None,
])
def test_what_is_no_plain_tensor_is_refused(entry):
    with pytest.raises(UserError, match="'weight' is no plain tensor"):
        check_weights("model.pt", {"weight": entry})


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(UserError, match="7 is no plain tensor"):
        check_weights("model.pt", {7: torch.zeros(3)})
