"""The Transformer encoder of all families, one depth at a time.

``EncoderShape`` holds the differences between RoBERTa, BERT, ALBERT and MPNet.

Sizes: R tokens of all sentences, T tokens of one, C hidden units, E embedding units, H attention heads, N depths.
"""

from dataclasses import asdict, dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UserError
from ..schema import check_fields, choice, integer, number, optional
from .batch import Batch, PaddedBatch
from .relative_position import check_buckets, relative_position_bias
from .transformer import ACTIVATIONS, TransformerLayer

DROPOUT = number(0, 1)
UNITS = integer(1, 2**17)  # the widest layer that is known has about 2**16
ENCODER_KINDS = {
    "vocabulary": integer(1, 2**24), "padding_id": integer(0, 2**24), "separator_id": integer(0, 2**24),
    "max_positions": integer(1, 2**24), "layers": integer(1, 256), "hidden": UNITS, "ffn_hidden": UNITS,
    "heads": UNITS, "activation": choice(*ACTIVATIONS), "dropout": DROPOUT, "attention_dropout": DROPOUT,
    "activation_dropout": DROPOUT, "embedding": optional(UNITS), "groups": optional(integer(1, 256)),
    "inner_layers": integer(1, 16), "segments": integer(0, 2**10), "first_position": integer(0, 2**10),
    "norm_eps": number(0, 1), "relative_buckets": integer(0, 2**10),
}


@dataclass(frozen=True)
class EncoderShape:
    """All settings that determine the encoder's tensors and arithmetic; raises UserError where one is out of range.

    ``embedding``: E where embeddings are factorised (ALBERT); None where E = C and nothing is projected.
    ``groups``: groups of weights that the N depths share evenly, in order (ALBERT: 1); None: one group per depth.
    ``inner_layers``: Transformer layers per group; one step applies all of them.
    ``segments``: rows of the segment table; 0: no table.
    ``first_position``: the first token's row of the position table; earlier rows are never used.
    ``relative_buckets``: rows of the relative position bias table that all depths share (MPNet: 32); 0: no bias.
    """

    vocabulary: int
    padding_id: int
    separator_id: int
    max_positions: int
    layers: int
    hidden: int
    ffn_hidden: int
    heads: int
    activation: str = "gelu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    embedding: int | None = None
    groups: int | None = None
    inner_layers: int = 1
    segments: int = 0
    first_position: int = 0
    norm_eps: float = 1e-5
    relative_buckets: int = 0

    def __post_init__(self):
        try:
            check_fields(asdict(self), ENCODER_KINDS)
            check_buckets(self.relative_buckets)
            if self.hidden % self.heads:
                raise ValueError(f"hidden is {self.hidden}, and should be divisible by heads {self.heads}")
            if (self.groups or 1) > self.layers:
                raise ValueError(f"groups is {self.groups}, and should be at most layers {self.layers}")
            if max(self.padding_id, self.separator_id) >= self.vocabulary:
                raise ValueError(f"padding_id {self.padding_id} and separator_id {self.separator_id} should be less "
                                 f"than vocabulary {self.vocabulary}")
        except ValueError as error:
            raise UserError(f"encoder: {error}") from error

    def group(self, n: int) -> int:
        """The group of weights, from 0, of layer n of 1..N. With 6 layers in 2 groups, 1, 2 and 3 are in group 0."""
        return (n - 1) * (self.groups or self.layers) // self.layers

    def deepest(self, index: int) -> int:
        """The last layer n of 1..N that uses the Transformer layer ``index``, counted from 0 over all groups."""
        return max(n for n in range(1, self.layers + 1) if self.group(n) == index // self.inner_layers)


class Encoder(nn.Module):
    """Token, position and segment embeddings, normalised (and projected), then N post-norm steps.

    Agrees within 1e-5 with stock fairseq and with ``transformers``. Sources: RoBERTa (arXiv 1907.11692), BERT (arXiv
    1810.04805), ALBERT (arXiv 1909.11942), MPNet (arXiv 2004.09297).
    """

    def __init__(self, shape: EncoderShape):
        super().__init__()
        self.shape = shape
        self.depth = shape.layers
        self.hidden_size = shape.hidden
        embedding = shape.embedding or shape.hidden
        self.embed_tokens = nn.Embedding(shape.vocabulary, embedding, shape.padding_id)
        self.embed_positions = nn.Embedding(shape.max_positions + shape.first_position, embedding)
        self.embed_segments = nn.Embedding(shape.segments, embedding) if shape.segments else None
        self.embedding_norm = nn.LayerNorm(embedding, eps=shape.norm_eps)
        self.embed_projection = nn.Linear(embedding, shape.hidden) if shape.embedding else None
        self.relative_bias = nn.Embedding(shape.relative_buckets, shape.heads) if shape.relative_buckets else None
        self.layers = nn.ModuleList(
            TransformerLayer(shape.hidden, shape.ffn_hidden, shape.heads, shape.activation, shape.dropout,
                             shape.attention_dropout, shape.activation_dropout, shape.norm_eps)
            for _ in range((shape.groups or shape.layers) * shape.inner_layers)
        )

    def padded(self, tokens: Tensor) -> PaddedBatch:
        """The batch of padded sentences. Shape: token ids [B, T]."""
        return PaddedBatch(tokens, self.shape.padding_id)

    def embed(self, batch: Batch, noise: Tensor | None = None) -> Tensor:
        """LayerNorm(token + position + segment embedding), projected where E is not C, with dropout in training.

        ``noise`` is added to the token embeddings. Shape: R tokens, [R, E] -> [R, C].
        """
        embedded = self.embed_tokens(batch.tokens) + self.embed_positions(batch.positions + self.shape.first_position)
        if noise is not None:
            embedded = embedded + noise.to(embedded.dtype)
        if self.embed_segments is not None:
            embedded = embedded + self.embed_segments(self._segments(batch))
        embedded = F.dropout(self.embedding_norm(embedded), self.shape.dropout, self.training)
        return embedded if self.embed_projection is None else self.embed_projection(embedded)

    def _segments(self, batch: Batch) -> Tensor:
        """The number of separators before each token in its sentence: [CLS] a [SEP] b [SEP] -> 0 0 0 1 1.

        Shape: [R].
        """
        separators = batch.tokens.eq(self.shape.separator_id).long()
        before = separators.cumsum(0) - separators
        return (before - before[batch.first][batch.sentence]).clamp(max=self.shape.segments - 1)

    def step(self, n: int, hidden: Tensor, batch: Batch) -> Tensor:
        """Hidden states after layer n of 1..N. Shape: [R, C] -> [R, C]."""
        first = self.shape.group(n) * self.shape.inner_layers
        bias = None if self.relative_bias is None else batch.bias(self._bias)
        for layer in self.layers[first:first + self.shape.inner_layers]:
            hidden = layer(hidden, batch, bias)
        return hidden

    def _bias(self, length: int) -> Tensor:
        """Shape: T -> [H, T, T]."""
        return relative_position_bias(self.relative_bias.weight, length)
