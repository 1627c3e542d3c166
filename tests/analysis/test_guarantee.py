"""Simulate losses: the bound holds at its stated rate, and a naive limit does not.

``test_contract`` simulates the whole choice of a threshold.
"""

import numpy as np
import pytest
from scipy.stats import binom

from fairseq_palbert.analysis.guarantee import risk_p_value, safe_settings

LIMIT, DELTA, DRAWS, EXAMPLES = 0.05, 0.1, 400, 500
RISKS = np.linspace(0, 0.12, 40)  # of each setting, the safest first; the limit lies between two of them


def draw(rng) -> list[np.ndarray]:
    """Returns losses [E] for each setting; an example's loss never falls from one setting to the next."""
    chance = rng.random(EXAMPLES)
    return [(chance < risk).astype(float) for risk in RISKS]


def broken(choose) -> float:
    """Returns the share of draws where the chosen setting's risk is above the limit."""
    rng = np.random.default_rng(0)
    chosen = [choose(draw(rng)) for _ in range(DRAWS)]
    return float(np.mean([RISKS[count - 1] > LIMIT for count in chosen if count] or [0.0]))


def test_the_guarantee_holds_at_its_rate_and_is_not_idle():
    def guaranteed(losses):
        return safe_settings(losses, LIMIT, DELTA)

    assert broken(guaranteed) <= DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / DRAWS)
    rng = np.random.default_rng(1)
    assert np.median([RISKS[guaranteed(draw(rng)) - 1] for _ in range(50)]) > 0.5 * LIMIT


def test_without_the_bound_it_is_broken_about_every_second_time():
    def by_the_mean_alone(losses):
        return next((n for n, of_setting in enumerate(losses) if of_setting.mean() > LIMIT), len(losses))

    assert broken(by_the_mean_alone) > 2 * DELTA


@pytest.mark.parametrize("wrong", [0, 1, 10, 20, 25, 40, 500])
def test_the_p_value_is_no_smaller_than_the_exact_one_of_a_coin(wrong):
    losses = np.arange(EXAMPLES) < wrong
    assert risk_p_value(losses.astype(float), LIMIT) >= binom.cdf(wrong, EXAMPLES, LIMIT) - 1e-12


def test_p_values_at_the_ends():
    assert risk_p_value(np.zeros(100), 0.05) == pytest.approx(0.95**100)
    assert risk_p_value(np.ones(100), 0.05) == 1
    assert risk_p_value(np.full(100, 0.05), 0.05) == 1
    # one loss of 0.5: h(0.5, 0.9) is the smaller, exp(-h) = sqrt(0.9 * 0.1 / 0.25) = 0.6, and e P(...) is above 1
    assert risk_p_value(np.array([0.5]), 0.9) == pytest.approx(0.6)


def test_limits_at_the_ends():
    assert risk_p_value(np.zeros(100), 0) == 1
    assert risk_p_value(np.ones(100), 1) == risk_p_value(np.ones(100), 1.5) == 0


@pytest.mark.parametrize("losses, limit", [([], 0.1), ([0.5], -0.1), ([0.5], np.nan), ([1.5], 0.1), ([-0.1], 0.1)])
def test_what_the_bound_does_not_cover_is_refused(losses, limit):
    with pytest.raises(ValueError):
        risk_p_value(np.array(losses), limit)


def test_the_sequence_ends_at_the_first_setting_that_is_not_safe():
    safe, unsafe = np.zeros(EXAMPLES), np.ones(EXAMPLES)
    assert safe_settings([safe, unsafe, safe], LIMIT, DELTA) == 1
    assert safe_settings([unsafe, safe], LIMIT, DELTA) == 0
    assert safe_settings([], LIMIT, DELTA) == 0
