"""Temperature scaling of every exit, so that its probabilities are as large as it is often right.

Source: On Calibration of Modern Neural Networks (arXiv 1706.04599, section 4.2). Sizes: N layers, E examples, K
classes.
"""

import math

from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

COLDEST, HOTTEST = 0.05, 20.0  # where all answers are right the likelihood has no maximum: T goes to 0


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The T of 0.05..20 that makes softmax(ŷ / T) likeliest, min_T −Σ log softmax(ŷ / T)_y, to four digits.

    The sum is convex in 1 / T, so that its one minimum is found on log T. Shape: [E, K] and [E].
    """
    logits = logits.double()

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(logits / math.exp(log_temperature), targets))

    found = minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    return float(f"{math.exp(found.x):.4g}")


def fit_temperatures(logits: Tensor, targets: Tensor) -> tuple[float, ...]:
    """One a layer of 1..N − 1, as ``exits.confidence`` takes them: (1,) where there is but one layer. Shape: [N, E,
    K] and [E]."""
    return tuple(fit_temperature(of_layer, targets) for of_layer in logits[:-1]) or (1.0,)
