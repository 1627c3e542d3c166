"""The pondering classifier: an encoder, or a recurrent cell, with heads at every layer.

Sizes: N layers, B sentences, R tokens of all of them, T tokens of the longest, C hidden units, K outputs (classes, or 1
for regression).
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..schema import BOOLEAN, check_fields, choice, integer, optional
from .batch import Batch, PackedBatch
from .depthwise import DepthWise, Layers
from .encoder import DROPOUT, UNITS
from .initialise import initialise
from .lambda_input import LAMBDA_READS, input_width, lambda_input
from .lambda_module import LAMBDA_INPUTS, LAMBDA_MODULES, NO_LAMBDA, LinearLambda, MlpLambda, RnnLambda

POOLINGS = ("first", "mean")
NO_POOLER = "none"
HEADS_KINDS = {
    "outputs": integer(1, 1000), "pooling": choice(*POOLINGS, NO_POOLER), "per_layer_pooler": BOOLEAN,
    "per_layer_classifier": BOOLEAN, "per_layer_lambda": BOOLEAN, "classifier_dropout": DROPOUT,
    "lambda_module": choice(*LAMBDA_MODULES), "lambda_depth": integer(1, 16), "lambda_input": choice(*LAMBDA_INPUTS),
    "lambda_lookback": integer(1, 256), "lambda_width": optional(UNITS), "lambda_reads": choice(*LAMBDA_READS),
    "lambda_layer_embedding": BOOLEAN, "lambda_detach": BOOLEAN, "lambda_dropout": DROPOUT, "learned_exit": BOOLEAN,
}


@dataclass(frozen=True)
class HeadsShape:
    """All settings that determine the heads' tensors and arithmetic; raises UserError where one is out of range.

    The defaults are PALBERT's (arXiv 2204.03276).
    ``pooling``: the pooler reads the first token's hidden state ("first") or the mean over the sentence's ("mean").
    Without a pooler ("none") the heads read the first token's hidden state itself.
    ``lambda_module="none"`` leaves the lambda module out; the other fields about it then have no effect.
    """

    outputs: int
    pooling: str = "first"
    per_layer_pooler: bool = False
    per_layer_classifier: bool = False
    per_layer_lambda: bool = False
    classifier_dropout: float = 0.1
    lambda_module: str = "mlp"
    lambda_depth: int = 3
    lambda_input: str = "concat"
    lambda_lookback: int = 1
    lambda_width: int | None = None
    lambda_reads: str = "pooled"
    lambda_layer_embedding: bool = False
    lambda_detach: bool = False
    lambda_dropout: float = 0.0
    learned_exit: bool = False

    def __post_init__(self):
        try:
            check_fields(asdict(self), HEADS_KINDS)
        except ValueError as error:
            raise UserError(f"heads: {error}") from error

    @property
    def halts(self) -> bool:
        """Whether there is a lambda module, and therefore halting logits."""
        return self.lambda_module != NO_LAMBDA

    @property
    def halts_by_answers(self) -> bool:
        """Whether the lambda module reads the classifier's answers."""
        return self.halts and self.lambda_reads != "pooled"

    def lambda_inputs(self, hidden: int, depth: int) -> int:
        """The units that the lambda module reads per layer."""
        return input_width(self.lambda_reads, hidden, self.outputs, depth)


@dataclass(frozen=True)
class PonderOutput:
    """The outputs of all layers; None where the model lacks the head.

    ``logits`` [N, B, K]; ``halting_logits`` [N − 1, B], or [N, B] with ``halt_at_last``; ``error_logits`` [N − 1, B].
    """

    logits: Tensor
    halting_logits: Tensor | None
    error_logits: Tensor | None = None


class PonderingClassifier(nn.Module):
    """z_n = tanh(W c_n + b); ŷ_n = classifier(z_n); l_n = lambda module(z_1..z_n).

    c_n is the hidden state of the first token after layer n. With ``pooling`` "mean" it is the mean over the sentence's
    tokens, special tokens included. Without a pooler z_n = c_n. All depths share the learned-exit head: σ(w · z_n + b)
    is the expected error of ŷ_n.

    ``forward`` computes all depths at once, for training. ``embed`` and ``step`` compute one depth at a time, for early
    exit, and ``summarize`` returns c_n. ``pool``, ``classify``, ``halt`` and ``expect_error`` read L layers from
    ``first`` on; with a tensor [B] as ``first``, L = 1 and each sentence has its own layer. Without a lambda module
    (``halts`` is false) ``initial_memory`` and ``halt`` do not apply. ``shares_layers``: every step is the same
    function, so that sentences at different depths can share a step.

    Sources: PALBERT (arXiv 2204.03276, section 3), BERxiT (EACL 2021, section 3.3); mean pooling as in Sentence-BERT
    (arXiv 1908.10084, section 3).
    """

    def __init__(self, encoder: nn.Module, heads: HeadsShape):
        super().__init__()
        self.encoder = encoder
        self.depth = encoder.depth
        self.heads_shape = heads
        self.outputs = heads.outputs
        self.halts = heads.halts
        self.halts_by_answers = heads.halts_by_answers
        self.shares_layers = encoder.shape.groups == 1
        self.learns_exit = heads.learned_exit
        hidden = encoder.hidden_size
        copies = self.depth if heads.per_layer_pooler else 1
        self.pooler = None if heads.pooling == NO_POOLER else DepthWise(lambda: nn.Linear(hidden, hidden), copies)
        self.classifier = DepthWise(
            lambda: nn.Sequential(nn.Dropout(heads.classifier_dropout), nn.Linear(hidden, heads.outputs)),
            self.depth if heads.per_layer_classifier else 1,
        )
        self.lambda_module = self._make_lambda_module(hidden, heads)
        embeds_layers = heads.halts and heads.lambda_layer_embedding
        self.layer_embedding = nn.Embedding(self.depth, hidden) if embeds_layers else None
        self.split_lambda: nn.Module | None = None  # runs in place of the lambda module, see ``for_inference``
        self.learned_exit = nn.Linear(hidden, 1) if heads.learned_exit else None
        self.halting_weight = self._halting_weight()
        initialise(self)

    def _make_lambda_module(self, hidden: int, heads: HeadsShape) -> nn.Module | None:
        if not heads.halts:
            return None
        copies = self.depth - 1 if heads.per_layer_lambda else 1
        inputs = heads.lambda_inputs(hidden, self.depth)
        if heads.lambda_module == "mlp":
            return MlpLambda(inputs, copies, heads.lambda_dropout, heads.lambda_depth, heads.lambda_input,
                             heads.lambda_lookback, heads.lambda_width)
        return {"linear": LinearLambda, "rnn": RnnLambda}[heads.lambda_module](inputs, copies, heads.lambda_dropout)

    def _halting_weight(self) -> float:
        """Parameters that one run of the lambda module reads, divided by those that one step reads."""
        if not self.halts:
            return 0
        copies = self.lambda_module.readout.copies
        other_copies = (len(copies) - 1) * _parameter_count(copies[0])
        return (_parameter_count(self.lambda_module) - other_copies) / (self.encoder.shape.inner_layers
                                                             * _parameter_count(self.encoder.layers[0]))

    def forward(self, tokens: Tensor, halt_at_last: bool = False, noise: Tensor | None = None) -> PonderOutput:
        """The outputs of all depths.

        ``halt_at_last`` adds the last layer's halting logit, which per-layer lambda modules lack. ``noise`` is added to
        the token embeddings. Shape: tokens [B, T], noise [B, T, E] -> see ``PonderOutput``.
        """
        batch = self.padded(tokens)
        return self.answer(self.pooled(batch, None if noise is None else batch.unpad(noise)), halt_at_last)

    def pooled(self, batch: Batch, noise: Tensor | None = None) -> Tensor:
        """z_1..z_N. Shape: R tokens, noise [R, E] -> [N, B, C]."""
        hidden, summaries = self.encoder.embed(batch, noise), []
        for n in range(1, self.depth + 1):
            hidden = self.step(n, hidden, batch)
            summaries.append(self.summarize(hidden, batch))
        return self.pool(1, torch.stack(summaries))

    def answer(self, pooled: Tensor, halt_at_last: bool = False) -> PonderOutput:
        """The heads' outputs for all layers' pooled vectors. Shape: [N, B, C] -> see ``PonderOutput``."""
        logits, halting_logits = self.classify(1, pooled), None
        if self.halts:
            last = self.depth if halt_at_last else self.depth - 1
            halting_logits, _ = self.halt(1, pooled[:last], logits[:last], self.initial_memory(pooled))
        error_logits = self.expect_error(1, pooled[:-1]) if self.learns_exit else None
        return PonderOutput(logits, halting_logits, error_logits)

    def padded(self, tokens: Tensor) -> Batch:
        """The batch of padded sentences, or of vectors. Shape: token ids [B, T], or [B, P]."""
        return self.encoder.padded(tokens)

    def packed(self, sentences: list[Tensor]) -> PackedBatch:
        """The batch of these sentences, without padding, in one copy to this network's device.

        Shape: token ids [T_i] each.
        """
        return PackedBatch.of(sentences, next(self.parameters()).device)

    def embed(self, batch: Batch) -> Tensor:
        """Hidden states before layer 1. Shape: R tokens -> [R, C]."""
        return self.encoder.embed(batch)

    def step(self, n: int, hidden: Tensor, batch: Batch) -> Tensor:
        """Hidden states after layer n of 1..N. Shape: [R, C] -> [R, C]."""
        return self.encoder.step(n, hidden, batch)

    def summarize(self, hidden: Tensor, batch: Batch) -> Tensor:
        """c_n from the hidden states after layer n. Shape: [R, C] -> [B, C]."""
        return batch.mean(hidden) if self.heads_shape.pooling == "mean" else hidden[batch.first]

    def pool(self, first: Layers, summaries: Tensor) -> Tensor:
        """z_n from c_n, for L layers from ``first`` on. Shape: [L, B, C] -> [L, B, C]."""
        return summaries if self.pooler is None else torch.tanh(self.pooler(first, summaries))

    def classify(self, first: Layers, pooled: Tensor) -> Tensor:
        """ŷ_n of L layers from ``first`` on. Shape: [L, B, C] -> [L, B, K]."""
        return self.classifier(first, pooled)

    def halt(self, first: Layers, pooled: Tensor, logits: Tensor | None, memory: Tensor) -> tuple[Tensor, Tensor]:
        """l_n of L layers from ``first`` on, and the memory for the next layer.

        ``logits`` are read only where the network ``halts_by_answers``.
        Shape: [L, B, C], [L, B, K], [B, ...] -> [L, B], [B, ...].
        """
        if self.split_lambda is not None:
            return self.split_lambda(first, pooled, logits, memory)
        if self.heads_shape.lambda_detach:
            pooled = pooled.detach()
        if self.layer_embedding is not None:
            layers = torch.arange(len(pooled), device=pooled.device)[:, None] + first - 1  # [L, 1], or [1, B]
            pooled = pooled + self.layer_embedding(layers)
        inputs = lambda_input(self.heads_shape.lambda_reads, first, pooled, logits, self.depth)
        return self.lambda_module(first, inputs, memory)

    def expect_error(self, first: Layers, pooled: Tensor) -> Tensor:
        """The learned-exit head's logits at layers n < N, all from the same function. Shape: [L, B, C] -> [L, B]."""
        return self.learned_exit(pooled).squeeze(-1)

    def initial_memory(self, pooled: Tensor) -> Tensor:
        """The lambda module's memory before layer 1. Shape: pooled [..., B, C] -> [B, ...]."""
        return (self.split_lambda or self.lambda_module).initial_memory(pooled)


def _parameter_count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
