"""The MLP lambda module for inference, with one product per layer input.

Sizes: N layers, L of them at once, B sentences, C hidden units, K outputs, A numbers per answer, F units that the
lambda module reads per layer, k previous layers that it reads, w units of the first product.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..modules.depthwise import Layers
from ..modules.lambda_input import answer_numbers, part_widths
from ..modules.lambda_module import MlpLambda


class SplitMlpLambda(nn.Module):
    """Equals ``MlpLambda`` of one copy after ``lambda_input``, up to rounding.

    The first product is b + Σ_j V_j x_{n−j}, j = 0..k, however the x are joined; x_n is z_n, the answer a_n and the
    layer. Layer n contributes to its own sum and to the next k sums. With all V_j stacked, these contributions are a
    product of z_n, one of a_n and a row of a table. Memory [B, k w]: earlier layers' contributions to the next k sums.
    """

    def __init__(self, plain: MlpLambda, reads: str, hidden: int, outputs: int, depth: int,
                 layer_embedding: nn.Embedding | None):
        """``layer_embedding``: N rows, which the network adds to the pooled vectors."""
        super().__init__()
        _, first, *rest = plain.readout.copies[0]
        self.rest = nn.Sequential(*rest)
        self.lookback, self.width = plain.lookback, first.out_features
        weight, bias = _stacked_by_layer(first.weight, plain), F.pad(first.bias, (0, self.lookback * self.width))
        of_pooled, of_answer, of_layer = weight.split(part_widths(reads, hidden, outputs, depth), dim=1)
        table = of_layer.T if of_layer.numel() else torch.zeros_like(bias).expand(depth, -1)
        if layer_embedding is not None and of_pooled.numel():
            table = table + layer_embedding.weight @ of_pooled.T
        self.of_pooled, self.of_answer = _linear(of_pooled), _linear(of_answer)
        self.table = (table + bias)[:, None]  # [N, 1, (k + 1) w]

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """Shape: [..., B, C] -> [B, k w]."""
        return pooled.new_zeros(pooled.shape[-2], self.lookback * self.width)

    def forward(self, first: Layers, pooled: Tensor, logits: Tensor | None, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: pooled [L, B, C], logits [L, B, K], memory [B, k w] -> halting logits [L, B], memory."""
        width, sums = self.width, []
        for own in self._contributions(first, pooled, logits).unbind():  # each [B, (k + 1) w]
            sums.append(own[:, :width] + memory[:, :width])
            later, memory = memory[:, width:], own[:, width:]
            if self.lookback > 1:
                memory = memory + F.pad(later, (0, width))
        inner = sums[0][None] if len(sums) == 1 else torch.stack(sums)
        return self.rest(inner).squeeze(-1), memory

    def _contributions(self, first: Layers, pooled: Tensor, logits: Tensor | None) -> Tensor:
        """What each layer contributes to the sums. Shape: [L, B, C], [L, B, K] -> [L, B, (k + 1) w]."""
        consecutive = isinstance(first, int)
        rows = self.table[first - 1:first - 1 + len(pooled)] if consecutive else self.table[first - 1].transpose(0, 1)
        if self.of_answer is not None:
            rows = rows + self.of_answer(answer_numbers(logits).to(pooled.dtype))
        return rows if self.of_pooled is None else self.of_pooled(pooled).add_(rows)


def _stacked_by_layer(weight: Tensor, plain: MlpLambda) -> Tensor:
    """V_0..V_k stacked, from the weight for the joined input. Shape: [w, joined units] -> [(k + 1) w, F]."""
    blocks = list(weight.split(plain.inputs, dim=1))
    own = [torch.zeros_like(blocks[0])] * (plain.lookback
                                           + 1) if plain.joined == "diff" else blocks[:plain.lookback + 1]
    differences = [] if plain.joined == "concat" else blocks[-plain.lookback:]
    before = [block - difference for block, difference in zip(own[1:], differences)] or own[1:]
    return torch.cat([sum(differences, own[0]), *before])


def _linear(weight: Tensor) -> nn.Linear | None:
    """A linear layer with the weight [O, I], or None where it has no inputs."""
    if not weight.numel():
        return None
    linear = nn.Linear(*reversed(weight.shape), bias=False, device="meta")
    linear.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    return linear
