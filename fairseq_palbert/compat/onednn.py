"""oneDNN's linear layers, by torch's private operators.

``torch.nn.Linear`` reorders its weight at every call, and torch has no public int8 product of plain integer tensors
with fused scales. ``torch.compile`` emits these operators for both. A prepacked weight serves these products alone.

Sizes: R rows, I inputs, O outputs. ``activation``: oneDNN's names of the fused activation and of its variant, such as
("none", "") and ("gelu", "tanh").
"""

import torch
from torch import Tensor

Activation = tuple[str, str]
NO_ACTIVATION: Activation = ("none", "")


def has_linear(dtype: torch.dtype = torch.float32) -> bool:
    """Whether this torch has the operators below, and this CPU what they need: AVX-512 or the like for bfloat16."""
    return (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
            and (dtype != torch.bfloat16 or torch.ops.mkldnn._is_mkldnn_bf16_supported()))


def prepack(weight: Tensor, rows: int) -> Tensor:
    """``weight`` [O, I], float32 or bfloat16, prepacked for inputs of ``rows`` rows; it serves any number."""
    return torch.ops.mkldnn._reorder_linear_weight(weight, rows)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation) -> Tensor:
    """activation(x Wᵀ + b) with W from ``prepack``. Shape: [..., I] -> [..., O]."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, activation[0], [], activation[1])


def prepack_int8(weight: Tensor) -> Tensor:
    """``weight`` int8 [O, I], prepacked."""
    return torch.ops.onednn.qlinear_prepack(weight, None)


def int8_linear(x: Tensor, scale: float, zero: int, weight: Tensor, weight_scales: Tensor, weight_zeros: Tensor,
                bias: Tensor | None, activation: Activation) -> Tensor:
    """activation(s (x − z) Wᵀ t + b), float32, with W from ``prepack_int8`` and t the scales of its outputs.

    Shape: x uint8 [R, I], t float32 [O], ``weight_zeros`` int64 [O], all 0 -> [R, O].
    """
    return torch.ops.onednn.qlinear_pointwise.default(x, scale, zero, weight, weight_scales, weight_zeros, bias, 1.0, 0,
                                                      torch.float32, activation[0], [], activation[1])
