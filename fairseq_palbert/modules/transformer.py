"""One post-norm Transformer layer, the block that every encoder repeats.

Sizes: R tokens of all sentences, C hidden units.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from .batch import Batch


def gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


ACTIVATIONS = {"gelu": F.gelu, "gelu_tanh": gelu_tanh, "relu": F.relu, "silu": F.silu, "tanh": F.tanh}


class TransformerLayer(nn.Module):
    """h' = LayerNorm(h + SelfAttention(h)); h'' = LayerNorm(h' + W₂ act(W₁ h')).

    Source: Attention Is All You Need (arXiv 1706.03762) in BERT's post-norm form (arXiv 1810.04805).
    """

    def __init__(self, hidden: int, ffn_hidden: int, heads: int, activation: str, dropout: float,
                 attention_dropout: float, activation_dropout: float, norm_eps: float):
        super().__init__()
        self.heads = heads
        self.activation = ACTIVATIONS[activation]
        self.dropout = dropout
        self.attention_dropout = attention_dropout
        self.activation_dropout = activation_dropout
        self.qkv_proj = nn.Linear(hidden, 3 * hidden)
        self.out_proj = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=norm_eps)
        self.fc1 = nn.Linear(hidden, ffn_hidden)
        self.fc2 = nn.Linear(ffn_hidden, hidden)
        self.output_norm = nn.LayerNorm(hidden, eps=norm_eps)

    def forward(self, hidden: Tensor, batch: Batch, bias: Tensor | None = None) -> Tensor:
        """Hidden states after this layer. ``bias``: see ``Batch.bias``. Shape: [R, C] -> [R, C]."""
        dropout = self.attention_dropout if self.training else 0.0
        context = batch.attend(self.qkv_proj(hidden), self.heads, dropout, bias)
        hidden = self.attention_norm(hidden + self._dropped(self.out_proj(context)))
        inner = F.dropout(self.activation(self.fc1(hidden)), self.activation_dropout, self.training)
        return self.output_norm(hidden + self._dropped(self.fc2(inner)))

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)
