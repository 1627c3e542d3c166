"""Select settings whose risk stays below a limit with probability at least 1 − δ (Learn then Test).

Settings are tested in sequence, the safest first. The null hypothesis of each test is "the risk is above the limit".
The sequence ends at the first hypothesis that is not rejected, so no correction for many tests is needed. The order is
fixed before the tested examples are looked at.

Sources: Learn then Test (arXiv 2110.01052, fixed sequence testing); the Hoeffding-Bentkus p-value (Bates et al.,
Distribution-free, Risk-controlling Prediction Sets, arXiv 2101.02703, section 3.1).
"""

import math
from collections.abc import Iterable

import numpy as np
from scipy.stats import binom


def risk_p_value(losses: np.ndarray, limit: float) -> float:
    """The Hoeffding-Bentkus p-value of "the expected loss is above ``limit``":

        min(exp(−E h(min(r, a), a)), e P(Bin(E, a) ≤ ⌈E r⌉)),  h(x, a) = x log(x/a) + (1 − x) log((1 − x)/(1 − a)),

    with r the mean of ``losses`` [E], independent and in 0..1, and a the limit, 0 < a < 1. It is 1 at a = 0, which no
    sample can show, and 0 at a ≥ 1, which no expectation exceeds. Raises ValueError for losses or a limit outside their
    range, and for no loss at all.
    """
    if not len(losses) or not limit >= 0 or losses.min() < 0 or losses.max() > 1:
        raise ValueError("give at least one loss, losses of 0..1, and a limit of at least 0")
    if limit == 0 or limit >= 1:
        return float(limit == 0)
    examples, mean = len(losses), float(losses.mean())
    hoeffding = math.exp(-examples * _relative_entropy(min(mean, limit), limit))
    bentkus = math.e * binom.cdf(math.ceil(examples * mean - 1e-9), examples,
                                 limit)  # the sum of 0s and 1s is a whole number
    return min(hoeffding, float(bentkus), 1.0)


def safe_settings(losses: Iterable[np.ndarray], limit: float, delta: float) -> int:
    """How many settings, counted from the first, pass the tests.

    With probability at least 1 − ``delta`` each of them has a risk of at most ``limit``. ``losses`` has the losses [E]
    of each setting on the same examples, the safest setting first.
    """
    safe = 0
    for of_setting in losses:
        if risk_p_value(of_setting, limit) > delta:
            break
        safe += 1
    return safe


def _relative_entropy(x: float, a: float) -> float:
    """The Kullback-Leibler divergence of two Bernoulli distributions, in nats."""
    return sum(p * math.log(p / q) for p, q in ((x, a), (1 - x, 1 - a)) if p > 0)
