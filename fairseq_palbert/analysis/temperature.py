"""Temperature scaling: calibrate the probabilities of every exit.

Source: On Calibration of Modern Neural Networks (arXiv 1706.04599, section 4.2). Sizes: N layers, E examples, K
classes.
"""

import math

from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

COLDEST, HOTTEST = 0.05, 20.0  # where all answers are right the likelihood has no maximum: T goes to 0


def fit_temperature(logits: Tensor, targets: Tensor) -> float:
    """The maximum-likelihood temperature T of 0.05..20, min_T −Σ log softmax(ŷ / T)_y, to four digits.

    The sum is convex in 1 / T, so its single minimum is found on log T. Shape: [E, K] and [E].
    """
    logits = logits.double()

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(logits / math.exp(log_temperature), targets))

    minimum = minimize_scalar(loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    return float(f"{math.exp(minimum.x):.4g}")


def fit_temperatures(logits: Tensor, targets: Tensor) -> tuple[float, ...]:
    """The temperatures of layers 1..N − 1, as ``exits.confidence`` takes them; (1,) for a model of one layer.

    Shape: [N, E, K] and [E].
    """
    return tuple(fit_temperature(of_layer, targets) for of_layer in logits[:-1]) or (1.0,)
