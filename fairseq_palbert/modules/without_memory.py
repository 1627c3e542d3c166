"""Build modules whose tensors are read from a file afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@contextmanager
def without_memory() -> Iterator[None]:
    """Modules that the block builds are on the meta device: their parameters have shapes alone.

    They are not initialised: on that device, normal numbers cost the import of torch's compiler, which takes a second.
    """
    with torch.device("meta"), _WithoutNormalNumbers():
        yield


class _WithoutNormalNumbers(TorchFunctionMode):
    """Leaves out ``nn.init.normal_`` and ``Tensor.normal_``."""

    def __torch_function__(self, function: Any, types: Any, arguments: tuple = (), named: dict | None = None) -> Any:
        if getattr(function, "__name__", None) == "normal_":
            return arguments[0] if arguments else named["tensor"]
        return function(*arguments, **(named or {}))
