"""One module shared by all depths, or one per depth."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Layers = int | Tensor  # one layer for all sentences, counted from 1, or the layer of each sentence, [B]


class DepthWise(nn.Module):
    """Applies each layer's copy of a module to that layer's input; a single copy serves all depths.

    Sizes: L consecutive layers, B sentences, C units.
    """

    def __init__(self, make: Callable[[], nn.Module], copies: int):
        super().__init__()
        self.copies = nn.ModuleList(make() for _ in range(copies))

    def forward(self, first: Layers, x: Tensor) -> Tensor:
        """``first`` is the layer, counted from 1, of x[0], or, where L = 1, the layer of each sentence.

        Shape: [L, B, C] -> [L, B, any]."""
        if len(self.copies) == 1:
            return self.copies[0](x)
        if isinstance(first, int):
            return torch.stack([self.copies[first - 1 + i](layer) for i, layer in enumerate(x)])
        layers, rows = first.sort()
        numbers, counts = layers.unique_consecutive(return_counts=True)
        parts = x[0, rows].split(counts.tolist())
        return torch.cat([self.copies[n - 1](part) for n, part in zip(numbers.tolist(), parts)])[rows.argsort()][None]
