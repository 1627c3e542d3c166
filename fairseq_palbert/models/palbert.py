"""``--arch palbert_roberta``: RoBERTa with a pooler, a classifier and a lambda module that read every layer."""

import logging
from dataclasses import dataclass, field, fields
from typing import Optional

from fairseq.models import ARCH_CONFIG_REGISTRY, BaseFairseqModel, register_model
from torch import Tensor

from ..errors import UserError
from ..modules.lambda_module import LAMBDA_INPUTS, LAMBDA_MODULES
from ..modules.pondering import HeadsShape, PonderingClassifier, PonderOutput
from ..modules.roberta import RobertaEncoder, RobertaShape
from ..modules.transformer import ACTIVATIONS
from ..optim.parts import tag_parameters
from .starting_weights import StartingPoint
from .stock_checkpoint import allow_namespace, forbid_namespace
from .training_start import StartConfig, check_device, starting_point

logger = logging.getLogger(__name__)


def _flag(default, meaning: str):
    return field(default=default, metadata={"help": meaning})


def _preset(meaning: str):
    return _flag(None, f"{meaning} (default: the architecture's)")


@dataclass
class PalbertConfig(StartConfig):
    encoder_layers: Optional[int] = _preset("layers N")
    encoder_embed_dim: Optional[int] = _preset("hidden units C")
    encoder_ffn_embed_dim: Optional[int] = _preset("units inside the feed-forward part")
    encoder_attention_heads: Optional[int] = _preset("attention heads")
    encoder_max_positions: int = _flag(512, "most tokens of an example that have a position")
    activation_fn: str = _flag("gelu", f"activation inside the feed-forward part: {', '.join(ACTIVATIONS)}")
    dropout: float = _flag(0.1, "dropout after embeddings, attention and feed-forward part")
    attention_dropout: float = _flag(0.1, "dropout of attention weights")
    activation_dropout: float = _flag(0.0, "dropout after the activation")
    per_layer_pooler: bool = _flag(False, "one pooler a layer instead of one for all")
    per_layer_classifier: bool = _flag(False, "one classifier a layer instead of one for all")
    per_layer_lambda: bool = _flag(
        False, "one lambda module for each layer but the last instead of one for all (of an rnn: the readout)"
    )
    classifier_dropout: float = _flag(0.1, "dropout of the classifier's input (PALBERT: 0.1)")
    lambda_module: str = _flag("mlp", f"lambda module (PALBERT: mlp, PonderNet: linear): {', '.join(LAMBDA_MODULES)}")
    lambda_depth: int = _flag(3, "Linear + Tanh layers of the mlp before its readout (PALBERT: 3)")
    lambda_input: str = _flag(
        "concat", "how the mlp takes in earlier layers' pooled vectors, side by side, subtracted or both (PALBERT: concat): "
                  f"{', '.join(LAMBDA_INPUTS)}"
    )
    lambda_lookback: int = _flag(1, "how many layers the mlp looks back (PALBERT: 1)")
    lambda_layer_embedding: bool = _flag(False, "add a learned vector per layer to the lambda module's input")
    lambda_detach: bool = _flag(False, "let no gradient of the halting logits into pooler and encoder")
    lambda_dropout: float = _flag(0.0, "dropout of the lambda module's input (published code: 0.1)")


@register_model("palbert_roberta", dataclass=PalbertConfig)
class PalbertModel(BaseFairseqModel):
    """fairseq's view of ``network``, a ``PonderingClassifier``."""

    def __init__(self, cfg: PalbertConfig, network: PonderingClassifier):
        super().__init__()
        self.cfg = cfg
        self.network = network
        self.starting_point = StartingPoint("the checkpoint")

    @classmethod
    def build_model(cls, cfg: PalbertConfig, task) -> "PalbertModel":
        """``task`` says the dictionary (``source_dictionary``) and the classifier's width (``glue_task.outputs``).

        Raises UserError for a contradiction in the flags.
        """
        ARCH_CONFIG_REGISTRY["palbert_roberta"](cfg)  # fairseq applies a preset, but nothing for the bare name
        _check_config(cfg)
        dictionary = task.source_dictionary
        encoder = RobertaEncoder(RobertaShape(
            vocabulary=len(dictionary),
            padding_id=dictionary.pad(),
            max_positions=cfg.encoder_max_positions,
            layers=cfg.encoder_layers,
            hidden=cfg.encoder_embed_dim,
            ffn_hidden=cfg.encoder_ffn_embed_dim,
            heads=cfg.encoder_attention_heads,
            activation=cfg.activation_fn,
            dropout=cfg.dropout,
            attention_dropout=cfg.attention_dropout,
            activation_dropout=cfg.activation_dropout,
        ))
        heads = {item.name: getattr(cfg, item.name) for item in fields(HeadsShape) if item.name != "outputs"}
        network = PonderingClassifier(encoder, HeadsShape(outputs=task.glue_task.outputs, **heads))
        tag_parameters(network)
        return cls(cfg, network)

    def forward(self, src_tokens: Tensor, src_lengths: Tensor | None = None,
                halt_at_last: bool = False) -> PonderOutput:
        """All depths; lengths follow from the padding. Shape: src_tokens [B, T] -> see ``PonderOutput``.

        Raises UserError where ``halt_at_last`` asks for a halting logit that the model does not have.
        """
        if halt_at_last and self.network.heads_shape.per_layer_lambda:
            raise UserError("--posterior-remainder none (part of --as-released) reads the last layer's halting logit, "
                            "which --per-layer-lambda leaves out: drop one of the two")
        return self.network(src_tokens, halt_at_last)

    def start_training(self) -> None:
        """Called where the model is built to be trained, not to be read from a checkpoint.

        Raises UserError for a precision that the device does not have, and for a file to start from that is missing or
        does not fit.
        """
        check_device(self.cfg)
        found = starting_point(self.cfg, self.state_dict())
        if found:
            self.starting_point = found
            allow_namespace()

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Makes of what fairseq has read, in place, weights for this model: see ``models.starting_weights``."""
        forbid_namespace()
        starting = self.starting_point.weights(dict(state_dict), self.state_dict())
        logger.info(f"{self.starting_point.name}: {starting}")
        state_dict.clear()
        state_dict.update(starting.weights)

    def max_positions(self) -> int:
        return self.network.encoder.shape.max_positions


def _check_config(cfg: PalbertConfig) -> None:
    choices = {"activation_fn": ACTIVATIONS, "lambda_module": LAMBDA_MODULES, "lambda_input": LAMBDA_INPUTS}
    for name, allowed in choices.items():
        if getattr(cfg, name) not in allowed:
            raise UserError(f"{_as_flag(name)} {getattr(cfg, name)}: choose from {', '.join(allowed)}")
    least = {"encoder_layers": 2, "encoder_embed_dim": 1, "encoder_ffn_embed_dim": 1, "encoder_attention_heads": 1,
             "encoder_max_positions": 1, "lambda_depth": 1, "lambda_lookback": 1}
    for name, bound in least.items():
        if getattr(cfg, name) < bound:
            raise UserError(f"{_as_flag(name)} {getattr(cfg, name)}: at least {bound}")
    for name in (item.name for item in fields(PalbertConfig) if item.name.endswith("dropout")):
        if not 0 <= getattr(cfg, name) < 1:
            raise UserError(f"{_as_flag(name)} {getattr(cfg, name)}: choose a value from 0 up to, not including, 1")
    if cfg.encoder_embed_dim % cfg.encoder_attention_heads:
        raise UserError(f"--encoder-embed-dim {cfg.encoder_embed_dim} is not divisible by --encoder-attention-heads "
                        f"{cfg.encoder_attention_heads}")


def _as_flag(field_name: str) -> str:
    return "--" + field_name.replace("_", "-")
