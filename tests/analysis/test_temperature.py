"""Tests of fitted temperatures on answers whose calibration is known."""

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from fairseq_palbert.analysis.temperature import fit_temperature, fit_temperatures


def answers(temperature, examples=20_000, classes=3):
    """Returns logits [E, K] that are ``temperature`` times too large, and targets drawn from the correct
    probabilities."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(examples, classes, generator=generator)
    return temperature * logits, logits.softmax(-1).multinomial(1, generator=generator)[:, 0]


def test_a_temperature_undoes_the_factor_that_the_logits_are_wrong_by():
    for wrong_by in (0.4, 1.0, 3.0):
        assert abs(fit_temperature(*answers(wrong_by)) / wrong_by - 1) < 0.05


def test_no_other_temperature_is_likelier():
    logits, targets = answers(1.8, examples=50)
    found = fit_temperature(logits, targets)
    losses = {t: float(cross_entropy(logits.double() / t, targets)) for t in (found, *np.geomspace(0.05, 20, 999))}
    assert losses[found] <= min(losses.values()) + 1e-7
    assert found == float(f"{found:.4g}")


def test_every_layer_but_the_last_has_its_own():
    (twice, targets), (half, _) = answers(2.0), answers(0.5)
    fitted = fit_temperatures(torch.stack([twice, half, twice]), targets)
    assert fitted == (fit_temperature(twice, targets), fit_temperature(half, targets))
    assert fit_temperatures(twice[None], targets) == (1.0,)


def test_answers_that_are_all_right_or_all_wrong_have_one_too():
    logits = torch.tensor([[2.0, -1.0], [3.0, 0.0]])
    assert 0.05 <= fit_temperature(logits, torch.tensor([0, 0])) < 0.1
    assert 19 < fit_temperature(logits, torch.tensor([1, 1])) <= 20
