"""A linear layer for inference on a CPU, its weight laid out once as the matrix product wants it."""

import torch
from torch import Tensor, nn

from ..compat import onednn

ROWS = 1024  # of the input for which the layout is chosen; it serves any number well
MULTIPLE = 16  # of rows, at most
FEWEST = 5  # rows: fewer take longer, two half as long again


class PrepackedLinear(nn.Module):
    """y = x Wᵀ + b by oneDNN. With W of 768 x 3072, as one core of an EPYC with AVX-512 was measured, it takes 0.81 of
    the time of torch's own product at 1024 rows of x, and 0.74 at 25.

    The weight is there for the product alone: nothing can be trained or saved. ``activation`` is applied to y at once.
    Shape: [..., I] -> [..., O].
    """

    def __init__(self, linear: nn.Linear, activation: onednn.Activation = onednn.NO_ACTIVATION):
        super().__init__()
        self.activation = activation
        self.weight = onednn.lay_out(linear.weight.detach(), ROWS)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.numel() // x.shape[-1]
        missing = filled_up(rows) - rows
        if missing:
            filled = torch.cat([x.flatten(0, -2), x.new_zeros(missing, x.shape[-1])])
            return self._product(filled)[:rows].unflatten(0, x.shape[:-1])
        return self._product(x)

    def _product(self, x: Tensor) -> Tensor:
        return onednn.linear(x, self.weight, self.bias, self.activation)


def filled_up(rows: int) -> int:
    """The rows that are computed, ``FEWEST`` or an eighth more at most: oneDNN prepares a product for every new
    number of them, which takes time and memory."""
    multiple = min(MULTIPLE, max(1, 2 ** (rows.bit_length() - 4)))
    return max(FEWEST, rows + -rows % multiple)


def can_prepack(module: nn.Module) -> bool:
    """Whether it is a linear layer, and this torch has the operators for it, where it lies and in its precision."""
    return (type(module) is nn.Linear and module.weight.is_cpu
            and module.weight.dtype in (torch.float32, torch.bfloat16)
            and onednn.has_linear())
