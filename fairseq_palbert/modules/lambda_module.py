"""Lambda modules, which compute each layer's halting logit.

They read the input x of this layer and of earlier ones, by default the pooled vector z. A module remembers earlier
layers in one tensor with a row per sentence, so that rows can be dropped as sentences exit. Each module ends in a
readout, which all depths share or which has one copy per layer.

Sizes: L consecutive layers, B sentences, C units of x, k previous layers that are read.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from .depthwise import DepthWise

NO_LAMBDA = "none"  # no halting logits: the plain fine-tuned encoder
LAMBDA_MODULES = ("linear", "mlp", "rnn", NO_LAMBDA)
LAMBDA_INPUTS = ("concat", "diff", "both")


def joined_width(inputs: int, joined: str, lookback: int) -> int:
    """The units that ``MlpLambda`` reads, which are also its default width."""
    return inputs * {"concat": lookback + 1, "diff": lookback, "both": 2 * lookback + 1}[joined]


class LinearLambda(nn.Module):
    """l_n = w · x_n + b. Source: PonderNet as run in PALBERT (arXiv 2204.03276)."""

    def __init__(self, inputs: int, copies: int, dropout: float):
        super().__init__()
        self.readout = DepthWise(lambda: nn.Sequential(nn.Dropout(dropout), nn.Linear(inputs, 1)), copies)

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """An empty memory. Shape: any -> [B, 0]."""
        return pooled.new_zeros(pooled.shape[-2], 0)

    def forward(self, first: int, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: x [L, B, C] from layer ``first`` on, memory [B, 0] -> halting logits [L, B], memory."""
        return self.readout(first, x).squeeze(-1), memory


class MlpLambda(nn.Module):
    """d layers of Linear + Tanh with ``width`` units (default: the joined input's), then Linear to 1.

    The input at layer n is, for ``concat``, x_n, x_{n−1}, ..., x_{n−k} side by side; for ``diff``, the k differences
    x_n − x_{n−j}; for ``both``, the first then the second; x is zero before layer 1.
    PALBERT (arXiv 2204.03276): d = 3, ``concat``, k = 1, width 2C, which is 7.08 M parameters at C = 768.
    """

    def __init__(self, inputs: int, copies: int, dropout: float, depth: int, joined: str, lookback: int,
                 width: int | None):
        super().__init__()
        self.inputs = inputs
        self.joined = joined
        self.lookback = lookback
        joined_inputs = joined_width(inputs, joined, lookback)
        widths = [joined_inputs, *[width or joined_inputs] * depth]

        def mlp() -> nn.Module:
            inner = [part for sizes in pairwise(widths) for part in (nn.Linear(*sizes), nn.Tanh())]
            return nn.Sequential(nn.Dropout(dropout), *inner, nn.Linear(widths[-1], 1))

        self.readout = DepthWise(mlp, copies)

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """x of the k layers before layer 1, zeros. Shape: [..., B, any] -> [B, k, C]."""
        return pooled.new_zeros(pooled.shape[-2], self.lookback, self.inputs)

    def forward(self, first: int, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: x [L, B, C] from layer ``first`` on, memory [B, k, C], oldest first -> halting logits [L, B],
        memory."""
        history = torch.cat([memory.transpose(0, 1), x])  # [k + L, B, C]
        # With k = 2, L = 3 and first = 1 the rows of history are the layers −1 0 1 2 3: j layers back start at k − j.
        layers = x.shape[0]
        previous = [history[self.lookback - j:self.lookback - j + layers] for j in range(1, self.lookback + 1)]
        parts = [] if self.joined == "diff" else [x, *previous]
        if self.joined != "concat":
            parts += [x - before for before in previous]
        logits = self.readout(first, torch.cat(parts, dim=-1)).squeeze(-1)
        return logits, history[layers:].transpose(0, 1)


class RnnLambda(nn.Module):
    """A GRU over depth, s_n = GRU(x_n, s_{n−1}) from s_0 = 0, and l_n = w · s_n + b. All depths share the GRU."""

    def __init__(self, inputs: int, copies: int, dropout: float):
        super().__init__()
        self.inputs = inputs
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(inputs, inputs)
        self.readout = DepthWise(lambda: nn.Linear(inputs, 1), copies)

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """s_0. Shape: [..., B, any] -> [B, 1, C]."""
        return pooled.new_zeros(pooled.shape[-2], 1, self.inputs)

    def forward(self, first: int, x: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: x [L, B, C] from layer ``first`` on, memory [B, 1, C] -> halting logits [L, B], memory."""
        states, last = self.rnn(self.dropout(x), memory.transpose(0, 1).contiguous())
        return self.readout(first, states).squeeze(-1), last.transpose(0, 1)
