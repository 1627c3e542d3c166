"""``--arch palbert_FAMILY``: an encoder with a pooler, a classifier and a lambda module that read every layer."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Optional

from fairseq.models import BaseFairseqModel, register_model
from omegaconf import DictConfig, open_dict
from torch import Tensor, nn

from ..checkpoints.formats.names import ENCODER_FIELDS
from ..compat.safe_globals import allow_namespace, forbid_namespace
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
    encoder_ffn_embed_dim: Optional[int] = _preset("units inside the feed-forward part")
    encoder_attention_heads: Optional[int] = _preset("attention heads")
    encoder_max_positions: int = _flag(512, "most tokens of an example that have a position")
    encoder_embedding_dim: Optional[int] = _preset("embedding units E, projected to C (ALBERT)")
    encoder_groups: Optional[int] = _preset(
        "groups of weights that the layers share evenly (ALBERT: 1, others: a group a layer)"
    )
    encoder_inner_layers: Optional[int] = _preset("Transformer layers of a group, all applied as one layer")
    encoder_segments: Optional[int] = _preset("segments that have an embedding, 0 for none")
    encoder_norm_eps: Optional[float] = _preset("epsilon of LayerNorm")
    encoder_relative_buckets: Optional[int] = _preset(
        "buckets of distance that have a relative position bias, 0 for none (MPNet: 32)"
    )
    activation_fn: Optional[str] = _preset(f"activation inside the feed-forward part, {', '.join(ACTIVATIONS)}")
    dropout: Optional[float] = _preset("dropout after embeddings, attention and feed-forward part")
    attention_dropout: Optional[float] = _preset("dropout of attention weights")
    activation_dropout: float = _flag(0.0, "dropout after the activation")
    pooling: Optional[str] = _flag(
        None, f"what the heads read of a sentence, its first token or the mean over its tokens: {', '.join(POOLINGS)} "
              f"(default: that of the checkpoint that training starts from, else {POOLINGS[0]})"
    )
    per_layer_pooler: bool = _flag(False, "one pooler a layer instead of one for all")
    per_layer_classifier: bool = _flag(False, "one classifier a layer instead of one for all")
    per_layer_lambda: bool = _flag(
        False, "one lambda module for each layer but the last instead of one for all (of an rnn: the readout)"
    )
    classifier_dropout: float = _flag(0.1, "dropout of the classifier's input (PALBERT: 0.1)")
    lambda_module: str = _flag(
        "mlp", f"lambda module (PALBERT: mlp, PonderNet: linear; none: no halting): {', '.join(LAMBDA_MODULES)}"
    )
    lambda_depth: int = _flag(3, "Linear + Tanh layers of the mlp before its readout (PALBERT: 3)")
    lambda_input: str = _flag(
        "concat", "how the mlp takes in earlier layers' pooled vectors, side by side, subtracted or both (PALBERT: "
                  f"concat): {', '.join(LAMBDA_INPUTS)}"
    )
    lambda_lookback: int = _flag(1, "how many layers the mlp looks back (PALBERT: 1)")
    lambda_width: Optional[int] = _flag(None, "hidden units of the mlp (default: as many as it reads, PALBERT's 2C)")
    lambda_reads: str = _flag(
        "pooled", "what the lambda module reads of a layer: its pooled vector (PALBERT), the classifier's answer "
                  "(entropy and probabilities, or the value) with the layer's number, or both: "
                  f"{', '.join(LAMBDA_READS)}"
    )
    lambda_layer_embedding: bool = _flag(False, "add a learned vector per layer to the lambda module's input")
    lambda_detach: bool = _flag(False, "let no gradient of the halting logits into pooler and encoder")
    lambda_dropout: float = _flag(0.0, "dropout of the lambda module's input (published code: 0.1)")
    learned_exit: bool = _flag(False, "a head that learns how wrong each layer's answer is, for the exit rule learned "
                                      "(BERxiT)")
    fresh_heads: bool = _flag(False, "take no pooler and no lambda module over from the model that training starts "
                                     "from")
    keep_classifier: bool = _flag(
        False, "take the classifier over too, from a model of the same task; pooler and classifier of a model that has "
               "one for all layers become each layer's"
    )
    truncate_encoder: bool = _flag(False, "start from the first --encoder-layers layers of a deeper encoder")
    train_only: Optional[str] = _flag(
        None, "lambda: train the lambda module alone, on the trained model of --finetune-from-model, whose pooling and "
              "heads are taken over; everything else is frozen and without dropout"
    )
    pooled_states: Optional[str] = _flag(
        None, "file that keeps, for the next run, what the frozen part makes of every sentence (default: in memory "
              "alone)"
    )
    freeze_backbone: bool = _flag(
        False, "train neither the encoder nor the last layer's pooler and classifier, but the exits before them"
    )


BEFORE = {"pooling": POOLINGS[0]}  # of models that were trained before there was a choice, where it is not the default


class PalbertModel(BaseFairseqModel):
    """fairseq's view of ``network``, a ``PonderingClassifier``. A registered class a family sets ``family``."""

    family: Family

    def __init__(self, cfg: PalbertConfig, network: PonderingClassifier):
        super().__init__()
        self.cfg = cfg
        self.network = network
        self.starting_point = StartingPoint("the checkpoint")
        kept = Path(cfg.pooled_states) if cfg.pooled_states else None
        self.pooled_states = PooledStates(network, _frozen(network), kept) if cfg.train_only else None

    @classmethod
    def build_model(cls, cfg: PalbertConfig, task) -> "PalbertModel":
        """``task`` says the dictionary (``source_dictionary``) and the classifier's width (``glue_task.outputs``).

        Raises UserError for a contradiction in the flags.
        """
        fill_in(cfg, cls.family.presets[BARE])  # fairseq applies a preset, but nothing for the bare name
        _fill_in_later_settings(cfg)
        _check_config(cfg)
        encoder = Encoder(encoder_shape(cfg, cls.family, task.source_dictionary))
        heads = {item.name: getattr(cfg, item.name) for item in fields(HeadsShape) if item.name != "outputs"}
        heads["pooling"] = cfg.pooling or POOLINGS[0]
        network = PonderingClassifier(encoder, HeadsShape(outputs=task.glue_task.outputs, **heads))
        tag_parameters(network)
        if cfg.freeze_backbone:
            for module in (encoder, network.pooler.copies[-1], network.classifier.copies[-1]):
                module.requires_grad_(False)
        if cfg.train_only:
            for module in _frozen(network):
                module.requires_grad_(False)
        return cls(cfg, network)

    @staticmethod
    def follow_checkpoint(cfg: PalbertConfig) -> None:
        """Fills in, in place, what the flags leave to the checkpoint that training starts from."""
        asked = cfg.pooling
        for name, value in starting_heads(cfg).items():
            setattr(cfg, name, value)
        cfg.pooling = asked or cfg.pooling or POOLINGS[0]

    def train(self, mode: bool = True) -> "PalbertModel":
        """As torch's; what is frozen by ``--train-only`` stays in evaluation mode."""
        super().train(mode)
        if self.cfg.train_only:
            for module in _frozen(self.network):
                module.eval()
        return self

    def begin_epoch(self, sentences: Iterable[Tensor]) -> None:
        """Called before training's epochs with all token ids that they and their validation will ask for, [T_i]
        each."""
        if self.pooled_states is not None:
            self.pooled_states.prepare(sentences)

    def forward(self, src_tokens: Tensor, src_lengths: Tensor | None = None, halt_at_last: bool = False,
                noise: Tensor | None = None) -> PonderOutput:
        """All depths; lengths follow from the padding. Shape: src_tokens [B, T] -> see ``PonderingClassifier.forward``.

        Raises UserError where ``halt_at_last`` asks for a halting logit that the model does not have.
        """
        if halt_at_last and self.network.heads_shape.per_layer_lambda:
            raise UserError("--posterior-remainder none (part of --as-released) reads the last layer's halting logit, "
                            "which --per-layer-lambda leaves out: drop one of the two")
        if self.pooled_states is None:
            return self.network(src_tokens, halt_at_last, noise)
        if noise is not None:
            raise UserError("--freelb-steps perturbs what --train-only keeps as it is: drop one of the two")
        return self.network.answer(self.pooled_states.of(src_tokens), halt_at_last)

    def start_training(self, task) -> None:
        """Called where the model is built to be trained, not to be read from a checkpoint.

        Raises UserError for a precision that the device does not have, and for a file to start from that is missing or
        does not fit.
        """
        check_device(self.cfg)
        found = starting_point(self.cfg, self.family, task, self.state_dict())
        if found:
            self.starting_point = found
            allow_namespace()
        elif self.cfg.freeze_backbone or self.cfg.train_only:
            flag = "--freeze-backbone" if self.cfg.freeze_backbone else f"--train-only {self.cfg.train_only}"
            raise UserError(f"{flag} keeps a trained model as it is, and there is none to start from: add "
                            "--finetune-from-model")

    def upgrade_state_dict_named(self, state_dict: dict[str, Tensor], name: str) -> None:
        """Makes of what fairseq has read, in place, weights for this model: see ``models.starting_weights``."""
        forbid_namespace()
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
    """The shape of the encoder that the settings, presets filled in, ask for over fairseq's ``dictionary``."""
    settings = {ours: getattr(cfg, setting) for ours, setting in ENCODER_FIELDS.items()}
    return EncoderShape(vocabulary=len(dictionary), padding_id=dictionary.pad(), separator_id=dictionary.eos(),
                        first_position=family.first_position,
                        **{name: value for name, value in settings.items() if value is not None})


def _frozen(network: PonderingClassifier) -> list[nn.Module]:
    """The parts of the network that ``--train-only lambda`` leaves as they are."""
    return [module for name, module in network.named_children() if PART_OF_HEAD.get(name) != "lambda"]


def _fill_in_later_settings(cfg: PalbertConfig) -> None:
    """A checkpoint of an earlier version lacks the settings that have come since: they get what it was trained with."""
    if isinstance(cfg, DictConfig):
        with open_dict(cfg):
            for item in fields(PalbertConfig):
                if item.name not in cfg.keys():  # "in cfg" would resolve what is borrowed
                    cfg[item.name] = BEFORE.get(item.name, item.default)


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
                raise UserError("--freeze-backbone keeps the last layer's answer as it is, which takes "
                                f"{_as_flag(name)} too: add it")
    if cfg.keep_classifier and cfg.fresh_heads:
        raise UserError("--keep-classifier and --fresh-heads contradict each other: choose one")
    if cfg.truncate_encoder and (cfg.encoder_groups or 1) > 1:
        raise UserError(f"--truncate-encoder needs a group of weights a layer, or one for all, and --encoder-groups is "
                        f"{cfg.encoder_groups}")
    least = {"encoder_layers": 2, "encoder_embed_dim": 1, "encoder_ffn_embed_dim": 1, "encoder_attention_heads": 1,
             "encoder_max_positions": 1, "encoder_embedding_dim": 1, "encoder_groups": 1, "encoder_inner_layers": 1,
             "encoder_segments": 0, "encoder_norm_eps": 0, "lambda_depth": 1, "lambda_lookback": 1,
             "lambda_width": 1}
    for name, bound in least.items():
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
