"""One post-norm Transformer layer, the block that every encoder here repeats.

Sizes: B sentences, T tokens (padding included), R real tokens of all B sentences, C hidden units, H attention heads.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS = {
    "gelu": F.gelu, "gelu_tanh": partial(F.gelu, approximate="tanh"), "relu": F.relu, "silu": F.silu, "tanh": F.tanh,
}


class _Padding:
    """Takes a batch's padding out and puts it back as zeros, so that nothing but attention computes with it.

    On the CPU alone, where there is padding: elsewhere the host would wait in every layer for the device to find it.
    """

    def __init__(self, hidden: Tensor, attended: Tensor | None):
        self.sizes = hidden.shape[:2]
        self.real = None if attended is None or not hidden.is_cpu else attended.flatten().nonzero().squeeze(1)

    def take_out(self, padded: Tensor) -> Tensor:
        """Shape: [B, T, C] -> [R, C]."""
        tokens = padded.flatten(0, 1)
        return tokens if self.real is None else tokens.index_select(0, self.real)

    def put_back(self, tokens: Tensor) -> Tensor:
        """Shape: [R, C] -> [B, T, C]."""
        if self.real is not None:
            tokens = tokens.new_zeros(self.sizes.numel(), tokens.shape[1]).index_copy(0, self.real, tokens)
        return tokens.unflatten(0, self.sizes)


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

    def forward(self, hidden: Tensor, attended: Tensor | None) -> Tensor:
        """``attended`` [B, 1, 1, T] is true where a token may be looked at, or None where all may.

        Shape: [B, T, C] -> [B, T, C]; what stands in the padding means nothing.
        """
        padding = _Padding(hidden, attended)
        tokens = padding.take_out(hidden)
        context = padding.take_out(self._attend(padding.put_back(self.qkv_proj(tokens)), attended))
        tokens = self.attention_norm(tokens + self._dropped(self.out_proj(context)))
        inner = F.dropout(self.activation(self.fc1(tokens)), self.activation_dropout, self.training)
        return padding.put_back(self.output_norm(tokens + self._dropped(self.fc2(inner))))

    def _attend(self, projected: Tensor, attended: Tensor | None) -> Tensor:
        """Shape: [B, T, 3C] -> [B, T, C]."""
        query, key, value = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # each [B, H, T, C / H]
        dropout = self.attention_dropout if self.training else 0.0
        context = F.scaled_dot_product_attention(query, key, value, attn_mask=attended, dropout_p=dropout)
        return context.transpose(1, 2).flatten(2)

    def _dropped(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)
