"""Check the tensors of a file before a model is made of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import UserError


def check_weights(source: str | Path, tensors: Mapping[str, Any]) -> None:
    """Raises UserError, which begins with ``source``, at the first entry that is no plain tensor of finite numbers.

    A plain tensor is dense, on the CPU, and holds as many numbers as its size says: a small file can describe an
    expanded tensor that is larger than memory.
    """
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor) or not _is_plain(tensor):
            raise UserError(f"{source}: {name!r:.60} is no plain tensor: make or download the file again")
        if not _is_finite(tensor):
            raise UserError(f"{source}: {name} has numbers that are NaN or infinite: use weights from before training "
                            "diverged")


def _is_plain(tensor: Tensor) -> bool:
    return (tensor.layout == torch.strided and tensor.device.type == "cpu"
            and tensor.numel() * tensor.itemsize <= tensor.untyped_storage().nbytes())


def _is_finite(tensor: Tensor) -> bool:
    """Whether no number is NaN or infinite: minimum and maximum, in one pass, are NaN where any number is."""
    if not tensor.is_floating_point() or not tensor.numel():
        return True
    values = tensor if tensor.itemsize > 1 else tensor.float()  # torch has no minimum of 8-bit floats
    return bool(torch.stack(values.aminmax()).isfinite().all())
