"""One module for all depths, or one a depth."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class DepthWise(nn.Module):
    """Applies the copy of each layer to that layer's input; a single copy serves all depths.

    Sizes: L consecutive layers, B sentences, C units.
    """

    def __init__(self, make: Callable[[], nn.Module], copies: int):
        super().__init__()
        self.copies = nn.ModuleList(make() for _ in range(copies))

    def forward(self, first: int, x: Tensor) -> Tensor:
        """``first`` is the layer, counted from 1, of x[0]. Shape: [L, B, C] -> [L, B, any]."""
        if len(self.copies) == 1:
            return self.copies[0](x)
        return torch.stack([self.copies[first - 1 + i](layer) for i, layer in enumerate(x)])
