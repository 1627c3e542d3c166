"""Tests of what a lambda module reads, against a slow loop."""

import math

import pytest
import torch

from fairseq_palbert.modules.lambda_input import input_width, lambda_input

DEPTH, SENTENCES, HIDDEN = 5, 3, 4


def slow(reads, first, pooled, logits):
    """Returns the input, computed number by number. Shape: [L, B, C], [L, B, K] -> [L, B, F]."""
    rows = []
    for i, (z, answers) in enumerate(zip(pooled.tolist(), logits.tolist(), strict=True)):
        row = []
        for b, (vector, answer) in enumerate(zip(z, answers, strict=True)):
            if len(answer) == 1:
                numbers = list(answer)
            else:
                total = sum(math.exp(x) for x in answer)
                p = [math.exp(x) / total for x in answer]
                numbers = [-sum(x * math.log(x) for x in p) / math.log(len(p)), max(p), *p]
            layer = (first if isinstance(first, int) else int(first[b])) + i
            one_hot = [float(n == layer) for n in range(1, DEPTH + 1)]
            row.append((vector if reads != "answers" else []) + (numbers + one_hot if reads != "pooled" else []))
        rows.append(row)
    return torch.tensor(rows)


@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("reads", ["pooled", "answers", "both"])
@pytest.mark.parametrize("first, layers", [(1, 4), (3, 2), (torch.tensor([4, 1, 2]), 1)])
def test_against_a_slow_loop(reads, first, layers, outputs):
    pooled, logits = torch.randn(layers, SENTENCES, HIDDEN), torch.randn(layers, SENTENCES, outputs)
    x = lambda_input(reads, first, pooled, logits, DEPTH)
    assert x.shape == (layers, SENTENCES, input_width(reads, HIDDEN, outputs, DEPTH))
    torch.testing.assert_close(x, slow(reads, first, pooled, logits))


def test_halting_does_not_shape_the_answers():
    pooled, logits = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, 2, requires_grad=True)
    lambda_input("both", 1, pooled, logits, DEPTH).sum().backward()
    assert logits.grad is None and pooled.grad is not None
