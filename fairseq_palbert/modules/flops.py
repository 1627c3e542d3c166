"""Floating-point operations of a sentence's matrix products.

A multiplication and an addition are two operations. Norms, activations, softmax and look-ups do not count, as in the
counters of public libraries.

Sizes: N layers, T tokens without padding, C hidden units, F feed-forward units, E embedding units, K outputs, m
Transformer layers per step (ALBERT's inner layers). The lambda module reads x units per layer (C for the pooled
vector); its MLP reads i units in all and has w units and d layers.

    embedding      2 T E C, where embeddings are factorised
    a step         m (8 T C² + 4 T C F + 4 T² C), or 2 g C (P + C) of a recurrent cell with P inputs and g gates
    mean pooling   T C
    pooler         2 C², where there is one
    classifier     2 C K
    lambda module  2 x (linear), 2 i w + 2 (d - 1) w² + 2 w (mlp), 12 x² + 2 x (rnn)
    learned exit   2 C
"""

from torch import Tensor

from .encoder import EncoderShape
from .lambda_module import NO_LAMBDA, joined_width
from .pondering import NO_POOLER, HeadsShape
from .recurrent import GATES, RecurrentShape

Shape = EncoderShape | RecurrentShape


def exit_flops(encoder: Shape, heads: HeadsShape, tokens: Tensor, exit_layers: Tensor, halts: bool,
               classifies: bool, expects_error: bool = False) -> Tensor:
    """Operations of each sentence that exits after layer n of 1..N, as the engine runs it.

    All layers up to n are stepped and pooled. ``classifies``: the rule reads the answer of each of them; otherwise only
    layer n is classified. ``halts`` and ``expects_error``: the rule runs the lambda module, or the learned-exit head,
    after each of them but N. Shape: T [B], n [B] -> int64 [B].
    """
    layers = exit_layers.long()
    before_last = layers.clamp(max=encoder.layers - 1)
    pooler_flops = 0 if heads.pooling == NO_POOLER else 2 * encoder.hidden**2
    heads_flops = layers * (summary_flops(encoder, heads, tokens) + pooler_flops)
    heads_flops += (layers if classifies or halts and heads.halts_by_answers
                    else 1) * 2 * encoder.hidden * heads.outputs
    if halts:
        heads_flops += before_last * lambda_flops(encoder, heads)
    if expects_error:
        heads_flops += before_last * 2 * encoder.hidden
    return embedding_flops(encoder, tokens) + layers * step_flops(encoder, tokens) + heads_flops


def embedding_flops(encoder: Shape, tokens: Tensor) -> Tensor:
    """Operations of the embedding projection. Shape: T [B] -> int64 [B]."""
    projected = 0 if isinstance(encoder, RecurrentShape) else encoder.embedding or 0
    return tokens.long() * 2 * projected * encoder.hidden


def step_flops(encoder: Shape, tokens: Tensor) -> Tensor:
    """Operations of one step. Shape: T [B] -> int64 [B]."""
    tokens, hidden = tokens.long(), encoder.hidden
    if isinstance(encoder, RecurrentShape):
        return tokens * 2 * GATES[encoder.cell] * hidden * (encoder.inputs + hidden)
    weights = 8 * hidden**2 + 4 * hidden * encoder.ffn_hidden
    return encoder.inner_layers * (tokens * weights + 4 * tokens**2 * hidden)


def summary_flops(encoder: Shape, heads: HeadsShape, tokens: Tensor) -> Tensor:
    """Operations of one layer's mean pooling. Shape: T [B] -> int64 [B]."""
    return tokens.long() * (encoder.hidden if heads.pooling == "mean" else 0)


def lambda_flops(encoder: Shape, heads: HeadsShape) -> int:
    """Operations of one run of the lambda module on one sentence."""
    inputs = heads.lambda_inputs(encoder.hidden, encoder.layers)
    if heads.lambda_module == "mlp":
        joined = joined_width(inputs, heads.lambda_input, heads.lambda_lookback)
        width = heads.lambda_width or joined
        return 2 * joined * width + 2 * (heads.lambda_depth - 1) * width**2 + 2 * width
    return {NO_LAMBDA: 0, "linear": 2 * inputs, "rnn": 12 * inputs**2 + 2 * inputs}[heads.lambda_module]
