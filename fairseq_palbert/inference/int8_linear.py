"""An int8 linear layer for inference on the CPU."""

import math

import torch
from torch import Tensor, nn

from ..compat import onednn
from .prepacked_linear import padded_rows

LARGEST_WEIGHT = 127
# Inputs become 0..127: sums of products of two full bytes overflow on a CPU without VNNI instructions. One step is
# left out as room for the rounding of the zero point.
INPUT_STEPS = 126


class Int8Linear(nn.Module):
    """y = x Wᵀ + b with W in int8, one scale per output, and x rounded at every call.

    x is rounded to ``INPUT_STEPS`` equal steps between its minimum and maximum, a range that includes 0 (dynamic
    quantization per tensor). The weight serves this product alone: it can be neither trained nor saved. ``activation``
    is fused into the product. Where x is not finite, no range holds it, and all of y is NaN.

    Shape: float32 [..., I] -> [..., O].
    """

    def __init__(self, linear: nn.Linear, activation: onednn.Activation = onednn.NO_ACTIVATION):
        super().__init__()
        self.activation = activation
        weight = linear.weight.detach()
        self.scales = (weight.abs().amax(1) / LARGEST_WEIGHT).clamp(min=torch.finfo(weight.dtype).tiny)
        self.zeros = torch.zeros_like(self.scales, dtype=torch.int64)
        self.weight = onednn.prepack_int8((weight / self.scales[:, None]).round().to(torch.int8))
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        low, high = (end.item() for end in x.aminmax())
        low, high = min(low, 0.0), max(high, 0.0)
        if not math.isfinite(high - low):
            return x.new_full((*x.shape[:-1], len(self.scales)), math.nan)
        scale = (high - low) / INPUT_STEPS or 1.0
        zero = round(-low / scale)
        rows = x.numel() // x.shape[-1]
        # Written as int8, which torch converts to many times faster than to uint8; below 128 both have the same bits.
        steps = x.new_zeros(padded_rows(rows), x.shape[-1], dtype=torch.int8)
        steps[:rows] = torch.add(torch.scalar_tensor(zero + 0.5), x, alpha=1 / scale).flatten(0, -2)
        y = onednn.int8_linear(steps.view(torch.uint8), scale, zero, self.weight, self.scales, self.zeros, self.bias,
                               self.activation)
        return y[:rows].view(*x.shape[:-1], -1)
