"""A recurrent cell that reads the same input vector at every step.

An example is a sentence of one token, whose embedding is the vector, so that batches and engine are those of text.

Sizes: R examples, P entries of a vector, C hidden units, N steps.
"""

from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..schema import check_fields, choice, integer
from .batch import Batch, PackedBatch
from .encoder import UNITS

CELLS = {"gru": nn.GRUCell, "tanh": nn.RNNCell}
GATES = {"gru": 3, "tanh": 1}  # products of the state, and of the input, at each step
RECURRENT_KINDS = {"inputs": UNITS, "layers": integer(2, 256), "hidden": UNITS, "cell": choice(*CELLS)}


@dataclass(frozen=True)
class RecurrentShape:
    """All settings that determine the cell's tensors and arithmetic; raises UserError where one is out of range.

    ``inputs``: P. ``layers``: N, the largest number of steps. ``hidden``: C. ``cell``: one of ``CELLS``. The class
    variables are what it has in common with every ``EncoderShape``: one group of weights, one token an example.
    """

    inputs: int
    layers: int
    hidden: int
    cell: str
    groups: ClassVar[int] = 1
    inner_layers: ClassVar[int] = 1
    max_positions: ClassVar[int] = 1

    def __post_init__(self):
        try:
            check_fields(asdict(self), RECURRENT_KINDS)
        except ValueError as error:
            raise UserError(f"recurrent cell: {error}") from error

    @property
    def ffn_hidden(self) -> int:
        """The units of all gates, a layer's inner units to the engine's window."""
        return GATES[self.cell] * self.hidden

    def deepest(self, index: int) -> int:
        """The last step that uses the cell."""
        return self.layers


class RecurrentEncoder(nn.Module):
    """s_n = cell(x, s_{n−1}) from s_0 = 0: a GRU, or tanh(W x + U s + b).

    The step function of PonderNet (arXiv 2107.05407, section 3.1) and ACT (arXiv 1603.08983, section 3.1) on parity.
    ACT's flag, which tells the first step on an input from a repeated one, is left out: here s_0 = 0 tells it.
    """

    def __init__(self, shape: RecurrentShape):
        super().__init__()
        self.shape = shape
        self.depth = shape.layers
        self.hidden_size = shape.hidden
        self.layers = nn.ModuleList([CELLS[shape.cell](shape.inputs, shape.hidden)])

    def padded(self, vectors: Tensor) -> PackedBatch:
        """The batch of these vectors, one row an example. Shape: [B, P]."""
        return PackedBatch(vectors, [1] * len(vectors))

    def embed(self, batch: Batch, noise: None = None) -> Tensor:
        """s_0. Shape: R vectors -> [R, C]."""
        weight = self.layers[0].weight_hh
        return torch.zeros(len(batch.tokens), self.hidden_size, dtype=weight.dtype, device=weight.device)

    def step(self, n: int, hidden: Tensor, batch: Batch) -> Tensor:
        """s_n, by the same function at every n of 1..N. Shape: [R, C] -> [R, C]."""
        return self.layers[0](batch.tokens.to(hidden.dtype), hidden)
