"""``--arch palbert_FAMILY``: a pondering classifier on an encoder of that family."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Optional

from fairseq.models import BaseFairseqModel, register_model
from omegaconf import DictConfig, open_dict
from torch import Tensor, nn

from ..checkpoints.formats.names import ENCODER_FIELDS
from ..checkpoints.formats.trainer_state import trainer_state
from ..compat.fairseq_trainer import read_checkpoints_by
from ..errors import UserError
from ..families import FAMILIES, Family
from ..modules.encoder import Encoder, EncoderShape
from ..modules.lambda_input import LAMBDA_READS
from ..modules.lambda_module import LAMBDA_INPUTS, LAMBDA_MODULES, NO_LAMBDA
from ..modules.pondering import POOLINGS, HeadsShape, PonderingClassifier, PonderOutput
from ..modules.relative_position import check_buckets
from ..modules.transformer import ACTIVATIONS
from ..optim.parts import PART_OF_HEAD, tag_parameters
from .pooled_states import PooledStates
from .presets import BARE, fill_in
from .starting_weights import StartingPoint
from .training_start import StartConfig, check_device, starting_heads, starting_point

logger = logging.getLogger(__name__)


def _flag(default, meaning: str):
    return field(default=default, metadata={"help": meaning})


def _preset(meaning: str):
    return _flag(None, f"{meaning} (default: the architecture's)")


@dataclass
class PalbertConfig(StartConfig):
    encoder_layers: Optional[int] = _preset("layers N")
    encoder_embed_dim: Optional[int] = _preset("hidden units C")
    encoder_ffn_embed_dim: Optional[int] = _preset("hidden units of the feed-forward part")
    encoder_attention_heads: Optional[int] = _preset("attention heads")
    encoder_max_positions: int = _flag(512, "largest number of tokens per example")
    encoder_embedding_dim: Optional[int] = _preset("embedding units E, projected to C (ALBERT)")
    encoder_groups: Optional[int] = _preset(
        "groups of weights that the layers share evenly (ALBERT: 1, others: one per layer)"
    )
    encoder_inner_layers: Optional[int] = _preset("Transformer layers per group, applied together as one layer")
    encoder_segments: Optional[int] = _preset("segments with an embedding, 0 for none")
    encoder_norm_eps: Optional[float] = _preset("epsilon of LayerNorm")
    encoder_relative_buckets: Optional[int] = _preset(
        "distance buckets of the relative position bias, 0 for none (MPNet: 32)"
    )
    activation_fn: Optional[str] = _preset(f"activation of the feed-forward part, {', '.join(ACTIVATIONS)}")
    dropout: Optional[float] = _preset("dropout after embeddings, attention and feed-forward part")
    attention_dropout: Optional[float] = _preset("dropout of attention weights")
    activation_dropout: float = _flag(0.0, "dropout after the activation")
    pooling: Optional[str] = _flag(
        None, f"what the heads read, the first token or the mean over all tokens: {', '.join(POOLINGS)} "
              f"(default: as in the checkpoint that training starts from, else {POOLINGS[0]})"
    )
    per_layer_pooler: bool = _flag(False, "one pooler per layer instead of one for all")
    per_layer_classifier: bool = _flag(False, "one classifier per layer instead of one for all")
    per_layer_lambda: bool = _flag(
        False, "one lambda module per layer but the last instead of one for all (rnn: one readout per layer)"
    )
    classifier_dropout: float = _flag(0.1, "dropout of the classifier's input (PALBERT: 0.1)")
    lambda_module: str = _flag(
        "mlp", f"lambda module (PALBERT: mlp, PonderNet: linear; none: no halting): {', '.join(LAMBDA_MODULES)}"
    )
    lambda_depth: int = _flag(3, "Linear + Tanh layers of the mlp before its readout (PALBERT: 3)")
    lambda_input: str = _flag(
        "concat", "how the mlp joins earlier layers' pooled vectors: side by side, as differences or both (PALBERT: "
                  f"concat): {', '.join(LAMBDA_INPUTS)}"
    )
    lambda_lookback: int = _flag(1, "number of earlier layers that the mlp reads (PALBERT: 1)")
    lambda_width: Optional[int] = _flag(128, "hidden units of the mlp (PALBERT: 2C, twice the encoder's)")
    lambda_reads: str = _flag(
        "pooled", "what the lambda module reads per layer: the pooled vector (PALBERT), the classifier's answer "
                  "(entropy and probabilities, or the value) with the layer's number, or both: "
                  f"{', '.join(LAMBDA_READS)}"
    )
    lambda_layer_embedding: bool = _flag(False, "add a learned vector per layer to the lambda module's input")
    lambda_detach: bool = _flag(False, "stop the gradient of the halting logits before pooler and encoder")
    lambda_dropout: float = _flag(0.0, "dropout of the lambda module's input (published code: 0.1)")
    learned_exit: bool = _flag(False, "add a head that learns the error of each layer's answer, for the exit rule "
                                      "learned (BERxiT)")
    fresh_heads: bool = _flag(False, "initialise pooler and lambda module afresh instead of loading them from the "
                                     "starting model")
    keep_classifier: bool = _flag(
        False, "also load the classifier from the starting model, which is of the same task; a pooler or classifier "
               "that it has for all layers is copied to each layer"
    )
    truncate_encoder: bool = _flag(False, "start from the first --encoder-layers layers of a deeper encoder")
    train_only: Optional[str] = _flag(
        None, "lambda: train the lambda module alone, on the trained model of --finetune-from-model with its pooling "
              "and heads; everything else is frozen and without dropout"
    )
    pooled_states: Optional[str] = _flag(
        None, "file that keeps every sentence's pooled vectors of the frozen model for the next run (default: memory "
              "only)"
    )
    freeze_backbone: bool = _flag(
        False, "freeze the encoder and the last layer's pooler and classifier; train the earlier exits"
    )


# of models older than the setting, where it is not today's
EARLIER_DEFAULTS = {"pooling": POOLINGS[0], "lambda_width": None}


class PalbertModel(BaseFairseqModel):
    """The fairseq model around a ``PonderingClassifier``, ``network``. Each family registers a subclass."""

    family: Family

    def __init__(self, cfg: PalbertConfig, network: PonderingClassifier):
        super().__init__()
        self.cfg = cfg
        self.network = network
        self.starting_point = StartingPoint("the checkpoint")
        states_file = Path(cfg.pooled_states) if cfg.pooled_states else None
        self.pooled_states = PooledStates(network, _frozen(network), states_file) if cfg.train_only else None
        self.train()  # fairseq begins the first epoch before it calls train()

    @classmethod
    def build_model(cls, cfg: PalbertConfig, task) -> "PalbertModel":
        """The model for the task's dictionary (``source_dictionary``) and outputs (``definition.outputs``).

        Raises UserError for a contradiction in the flags.
        """
        fill_in(cfg, cls.family.presets[BARE])  # fairseq applies no preset for the bare name
        _fill_in_later_settings(cfg)
        _check_config(cfg)
        encoder = Encoder(encoder_shape(cfg, cls.family, task.source_dictionary))
        heads = {item.name: getattr(cfg, item.name) for item in fields(HeadsShape) if item.name != "outputs"}
        heads["pooling"] = cfg.pooling or POOLINGS[0]
        network = PonderingClassifier(encoder, HeadsShape(outputs=task.definition.outputs, **heads))
        tag_parameters(network)
        if cfg.freeze_backbone:
            for module in (encoder, network.pooler.copies[-1], network.classifier.copies[-1]):
                module.requires_grad_(False)
        if cfg.train_only:
            for module in _frozen(network):
                module.requires_grad_(False)
        return cls(cfg, network)

    @staticmethod
    def complete_settings(cfg: PalbertConfig) -> None:
        """Sets, in place, what the flags leave to the checkpoint that training starts from."""
        chosen_pooling = cfg.pooling
        for name, value in starting_heads(cfg).items():
            setattr(cfg, name, value)
        cfg.pooling = chosen_pooling or cfg.pooling or POOLINGS[0]

    def train(self, mode: bool = True) -> "PalbertModel":
        """As in torch, but modules frozen by ``--train-only`` stay in evaluation mode."""
        super().train(mode)
        if self.cfg.train_only:
            for module in _frozen(self.network):
                module.eval()
        return self

    def begin_epoch(self, sentences: Iterable[Tensor]) -> None:
        """Called before an epoch with the token ids [T_i] of all its sentences and those of its validation."""
        if self.pooled_states is not None:
            self.pooled_states.prepare(sentences)

    def forward(self, src_tokens: Tensor, src_lengths: Tensor | None = None, halt_at_last: bool = False,
                noise: Tensor | None = None) -> PonderOutput:
        """The outputs of all layers; the padding gives the lengths, not ``src_lengths``.

        Shape: src_tokens [B, T] -> see ``PonderingClassifier.forward``.

        Raises UserError where ``halt_at_last`` asks for a halting logit that the model does not have.
        """
        if halt_at_last and self.network.heads_shape.per_layer_lambda:
            raise UserError("--posterior-remainder none (part of --as-released) and renormalise read the last layer's "
                            "halting logit, which --per-layer-lambda leaves out: drop one of the two")
        if self.pooled_states is None:
            return self.network(src_tokens, halt_at_last, noise)
        if noise is not None:
            raise UserError("--freelb-steps perturbs what --train-only freezes: drop one of the two")
        return self.network.answer(self.pooled_states.of(src_tokens), halt_at_last)

    def start_training(self, task) -> None:
        """Called where the model is built for training, not for loading a checkpoint.

        Raises UserError for a precision that the device does not support, and for a missing or unfit starting file.
        """
        check_device(self.cfg)
        start = starting_point(self.cfg, self.family, task, self.state_dict())
        if start:
            self.starting_point = start
            read_checkpoints_by(self.read_trainer_state)
        elif self.cfg.freeze_backbone or self.cfg.train_only:
            flag = "--freeze-backbone" if self.cfg.freeze_backbone else f"--train-only {self.cfg.train_only}"
            raise UserError(f"{flag} keeps a trained model as it is, and there is none to start from: add "
                            "--finetune-from-model")

    @staticmethod
    def read_trainer_state(path: str) -> dict[str, Any]:
        """``trainer_state``, as a method: of methods, fairseq's commands show a UserError in one line."""
        return trainer_state(path)

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Turns what fairseq has read into weights for this model, in place: see ``models.starting_weights``."""
        starting = self.starting_point.weights(dict(state_dict), self.state_dict())
        logger.info(f"{self.starting_point.name}: {starting}")
        state_dict.clear()
        state_dict.update(starting.weights)

    def max_positions(self) -> int:
        return self.network.encoder.shape.max_positions


for _family in FAMILIES.values():
    register_model(f"palbert_{_family.name}", dataclass=PalbertConfig)(
        type(f"Palbert{_family.name.capitalize()}", (PalbertModel,), {"family": _family})
    )


def encoder_shape(cfg: PalbertConfig, family: Family, dictionary) -> EncoderShape:
    """The encoder's shape, from the settings (with presets filled in) and fairseq's ``dictionary``."""
    settings = {ours: getattr(cfg, setting) for ours, setting in ENCODER_FIELDS.items()}
    return EncoderShape(vocabulary=len(dictionary), padding_id=dictionary.pad(), separator_id=dictionary.eos(),
                        first_position=family.first_position,
                        **{name: value for name, value in settings.items() if value is not None})


def _frozen(network: PonderingClassifier) -> list[nn.Module]:
    """The parts of the network that ``--train-only lambda`` freezes."""
    return [module for name, module in network.named_children() if PART_OF_HEAD.get(name) != "lambda"]


def _fill_in_later_settings(cfg: PalbertConfig) -> None:
    """Gives a checkpoint of an earlier version the settings that it lacks, with the values it was trained with."""
    if isinstance(cfg, DictConfig):
        with open_dict(cfg):
            for item in fields(PalbertConfig):
                if item.name not in cfg.keys():  # "in cfg" would resolve interpolations
                    cfg[item.name] = EARLIER_DEFAULTS.get(item.name, item.default)


def _check_config(cfg: PalbertConfig) -> None:
    choices = {"activation_fn": ACTIVATIONS, "pooling": (None, *POOLINGS), "lambda_module": LAMBDA_MODULES,
               "lambda_input": LAMBDA_INPUTS,
               "lambda_reads": LAMBDA_READS, "train_only": (None, "lambda")}
    for name, allowed in choices.items():
        if getattr(cfg, name) not in allowed:
            raise UserError(f"{_as_flag(name)} {getattr(cfg, name)}: choose from {', '.join(filter(None, allowed))}")
    for name in ("per_layer_lambda", "lambda_layer_embedding", "lambda_detach", "train_only"):
        if cfg.lambda_module == NO_LAMBDA and getattr(cfg, name):
            raise UserError(f"{_as_flag(name)} changes a lambda module, and --lambda-module {NO_LAMBDA} has none: drop "
                            "one of the two")
    if cfg.lambda_layer_embedding and cfg.lambda_reads == "answers":
        raise UserError("--lambda-layer-embedding is added to the pooled vector, which --lambda-reads answers leaves "
                        "out: drop one of the two")
    if cfg.pooled_states and not cfg.train_only:
        raise UserError("--pooled-states keeps what a frozen model computes: add --train-only lambda, or drop it")
    if cfg.train_only and cfg.freeze_backbone:
        raise UserError("--train-only and --freeze-backbone name different parts to train: choose one")
    if cfg.freeze_backbone:
        for name in ("per_layer_pooler", "per_layer_classifier", "keep_classifier"):
            if not getattr(cfg, name):
                raise UserError("--freeze-backbone keeps the last layer's answer, and so needs "
                                f"{_as_flag(name)} too: add it")
    if cfg.keep_classifier and cfg.fresh_heads:
        raise UserError("--keep-classifier and --fresh-heads contradict each other: choose one")
    if cfg.truncate_encoder and (cfg.encoder_groups or 1) > 1:
        raise UserError(f"--truncate-encoder needs one group of weights per layer or for all, and --encoder-groups is "
                        f"{cfg.encoder_groups}")
    minimum = {"encoder_layers": 2, "encoder_embed_dim": 1, "encoder_ffn_embed_dim": 1, "encoder_attention_heads": 1,
               "encoder_max_positions": 1, "encoder_embedding_dim": 1, "encoder_groups": 1, "encoder_inner_layers": 1,
               "encoder_segments": 0, "encoder_norm_eps": 0, "lambda_depth": 1, "lambda_lookback": 1,
               "lambda_width": 1}
    for name, bound in minimum.items():
        if getattr(cfg, name) is not None and getattr(cfg, name) < bound:
            raise UserError(f"{_as_flag(name)} {getattr(cfg, name)}: at least {bound}")
    for name in (item.name for item in fields(PalbertConfig) if item.name.endswith("dropout")):
        if not 0 <= getattr(cfg, name) < 1:
            raise UserError(f"{_as_flag(name)} {getattr(cfg, name)}: choose a value from 0 up to, not including, 1")
    try:
        check_buckets(cfg.encoder_relative_buckets or 0)
    except ValueError as error:
        raise UserError(f"--encoder-relative-buckets: {error}") from error
    if (cfg.encoder_groups or 1) > cfg.encoder_layers:
        raise UserError(f"--encoder-groups {cfg.encoder_groups}: at most --encoder-layers {cfg.encoder_layers}")
    if cfg.encoder_embed_dim % cfg.encoder_attention_heads:
        raise UserError(f"--encoder-embed-dim {cfg.encoder_embed_dim} is not divisible by --encoder-attention-heads "
                        f"{cfg.encoder_attention_heads}")


def _as_flag(field_name: str) -> str:
    return "--" + field_name.replace("_", "-")
