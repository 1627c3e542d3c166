"""Lambda modules: from the pooled vectors z of this layer and those before it to this layer's halting logit l.

Sizes: L consecutive layers, B sentences, C hidden units, k previous layers looked back at. What a module has to
remember of the layers before is one tensor with a row per sentence, so that rows can be dropped as sentences exit. Each
ends in a readout that is shared by all depths or has one copy a layer.
"""

import torch
from torch import Tensor, nn

from .depthwise import DepthWise

NO_LAMBDA = "none"  # a network that halts nowhere of itself: the plain fine-tuned encoder
LAMBDA_MODULES = ("linear", "mlp", "rnn", NO_LAMBDA)
LAMBDA_INPUTS = ("concat", "diff", "both")


def joined_width(hidden: int, joined: str, lookback: int) -> int:
    """The units that ``MlpLambda`` reads, and how wide it is."""
    return hidden * {"concat": lookback + 1, "diff": lookback, "both": 2 * lookback + 1}[joined]


class LinearLambda(nn.Module):
    """l_n = w · z_n + b. Source: PonderNet as run in PALBERT (arXiv 2204.03276)."""

    def __init__(self, hidden: int, copies: int, dropout: float):
        super().__init__()
        self.readout = DepthWise(lambda: nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, 1)), copies)

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """Nothing to remember. Shape: any -> [B, 0]."""
        return pooled.new_zeros(pooled.shape[-2], 0)

    def forward(self, first: int, pooled: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: pooled [L, B, C] from layer ``first`` on, memory [B, 0] -> halting logits [L, B], memory."""
        return self.readout(first, pooled).squeeze(-1), memory


class MlpLambda(nn.Module):
    """d times Linear + Tanh at the width of the joined input, then Linear to 1.

    The input at layer n is, for ``concat``, z_n, z_{n−1}, ..., z_{n−k} side by side; for ``diff``, the k differences
    z_n − z_{n−j}; for ``both``, the first then the second; z is zero before layer 1.
    PALBERT (arXiv 2204.03276): d = 3, ``concat``, k = 1, which is 7.08 M parameters at C = 768.
    """

    def __init__(self, hidden: int, copies: int, dropout: float, depth: int, joined: str, lookback: int):
        super().__init__()
        self.joined = joined
        self.lookback = lookback
        width = joined_width(hidden, joined, lookback)

        def mlp() -> nn.Module:
            inner = [part for _ in range(depth) for part in (nn.Linear(width, width), nn.Tanh())]
            return nn.Sequential(nn.Dropout(dropout), *inner, nn.Linear(width, 1))

        self.readout = DepthWise(mlp, copies)

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """The k pooled vectors before layer 1, zeros. Shape: [..., B, C] -> [B, k, C]."""
        return pooled.new_zeros(pooled.shape[-2], self.lookback, pooled.shape[-1])

    def forward(self, first: int, pooled: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: pooled [L, B, C] from layer ``first`` on, memory [B, k, C], oldest first -> halting logits [L, B],
        memory."""
        history = torch.cat([memory.transpose(0, 1), pooled])  # [k + L, B, C]
        # With k = 2, L = 3 and first = 1 the rows of history are the layers −1 0 1 2 3: j back starts at row k − j.
        layers = pooled.shape[0]
        previous = [history[self.lookback - j:self.lookback - j + layers] for j in range(1, self.lookback + 1)]
        parts = [] if self.joined == "diff" else [pooled, *previous]
        if self.joined != "concat":
            parts += [pooled - before for before in previous]
        logits = self.readout(first, torch.cat(parts, dim=-1)).squeeze(-1)
        return logits, history[layers:].transpose(0, 1)


class RnnLambda(nn.Module):
    """A GRU over depth, s_n = GRU(z_n, s_{n−1}) from s_0 = 0, and l_n = w · s_n + b. The GRU is one for all depths."""

    def __init__(self, hidden: int, copies: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(hidden, hidden)
        self.readout = DepthWise(lambda: nn.Linear(hidden, 1), copies)

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """s_0. Shape: [..., B, C] -> [B, 1, C]."""
        return pooled.new_zeros(pooled.shape[-2], 1, pooled.shape[-1])

    def forward(self, first: int, pooled: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: pooled [L, B, C] from layer ``first`` on, memory [B, 1, C] -> halting logits [L, B], memory."""
        states, last = self.rnn(self.dropout(pooled), memory.transpose(0, 1).contiguous())
        return self.readout(first, states).squeeze(-1), last.transpose(0, 1)
