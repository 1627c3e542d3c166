"""Checks before training: the device's precision, and the file to start from.

fairseq itself trains from scratch where ``--restore-file`` does not exist. It ends in a traceback where a file does not
fit, and is silent where a precision has no effect.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.dataclass.configs import CheckpointConfig
from fairseq.file_io import PathManager
from omegaconf import II
from torch import Tensor

from ..checkpoints.formats.checkpoint_file import model_settings, read_checkpoint
from ..checkpoints.formats.stock_checkpoint import is_stock
from ..errors import UserError
from ..families import ARCHITECTURES, FAMILIES, Family
from ..modules.pondering import HEADS_KINDS, POOLINGS
from ..schema import check_fields, optional
from .starting_weights import TRANSFERABLE_HEADS, StartingPoint, has_classifier

logger = logging.getLogger(__name__)
LAST_CHECKPOINT = CheckpointConfig().restore_file
FINETUNE = "--finetune-from-model"
RESETS = ("reset_optimizer", "reset_dataloader", "reset_meters")
# Settings that change what the weights compute, and not their shapes.
ENCODER_SETTINGS = ("encoder_layers", "encoder_attention_heads", "encoder_groups", "encoder_inner_layers",
                    "encoder_norm_eps",
                    "encoder_relative_buckets", "activation_fn")
LAMBDA_SETTINGS = ("lambda_module", "lambda_input", "lambda_lookback")
KEPT_HEADS = ("per_layer_pooler", "per_layer_classifier", "learned_exit")  # where only the lambda module is trained
PRECISIONS = ("fp16", "bf16", "amp")


@dataclass
class StartConfig(FairseqDataclass):
    """fairseq's own settings that the checks read; none of them is a new flag."""

    cpu: bool = II("common.cpu")
    fp16: bool = II("common.fp16")
    fp16_no_flatten_grads: bool = II("common.fp16_no_flatten_grads")
    memory_efficient_fp16: bool = II("common.memory_efficient_fp16")
    bf16: bool = II("common.bf16")
    amp: bool = II("common.amp")
    train_subset: str = II("dataset.train_subset")
    ddp_backend: str = II("distributed_training.ddp_backend")
    distributed_world_size: int = II("distributed_training.distributed_world_size")
    save_dir: str = II("checkpoint.save_dir")
    restore_file: str = II("checkpoint.restore_file")
    continue_once: Optional[str] = II("checkpoint.continue_once")
    finetune_from_model: Optional[str] = II("checkpoint.finetune_from_model")
    reset_optimizer: bool = II("checkpoint.reset_optimizer")
    reset_dataloader: bool = II("checkpoint.reset_dataloader")
    reset_meters: bool = II("checkpoint.reset_meters")
    load_checkpoint_on_all_dp_ranks: bool = II("checkpoint.load_checkpoint_on_all_dp_ranks")


def check_device(cfg: StartConfig) -> None:
    """Raises UserError for contradictory precisions and for settings that the device does not support.

    The precisions are ``--fp16``, ``--bf16`` and ``--amp``; several workers on the CPU need a backend that runs there.
    """
    precisions = [flag for flag in PRECISIONS if getattr(cfg, flag)]
    if len(precisions) > 1:
        raise UserError(f"--{' and --'.join(precisions)} contradict each other: choose one")
    if torch.cuda.is_available() and not cfg.cpu:
        return
    if cfg.amp:
        raise UserError("--amp does nothing on the CPU, where fairseq would train in float32: use --bf16 or leave it "
                        "out")
    if cfg.fp16 and not (cfg.fp16_no_flatten_grads or cfg.memory_efficient_fp16):
        raise UserError("--fp16 joins all gradients into one tensor on a GPU: on the CPU use --bf16 or add "
                        "--fp16-no-flatten-grads")
    if cfg.distributed_world_size > 1 and cfg.ddp_backend in ("c10d", "pytorch_ddp"):
        raise UserError(f"--ddp-backend {cfg.ddp_backend} is set up for GPUs by fairseq: several workers on the CPU "
                        f"need --ddp-backend legacy_ddp")


def starting_point(cfg: StartConfig, family: Family, task, fresh: dict[str, Tensor]) -> StartingPoint | None:
    """The checkpoint that fairseq will start from, or None where training starts from scratch.

    It is checked against the model, whose weights are ``fresh``, and against the task's tokenizer. ``cfg`` has the
    model's settings too. Raises UserError for a file that is missing, damaged or unfit.
    """
    flag, path = _starting_file(cfg)
    name = f"{flag} {path}".strip()
    if not PathManager.isfile(path):
        if flag:
            raise UserError(f"{name}: there is no such file")
        return None
    if cfg.distributed_world_size > 1 and not cfg.load_checkpoint_on_all_dp_ranks:
        raise UserError(f"to start from {path} several workers need --load-checkpoint-on-all-dp-ranks: by itself "
                        f"fairseq sends the checkpoint in a form that torch 2.6 and later refuse")
    state = read_checkpoint(path, name)
    _check_family(name, state, family)
    task.check_checkpoint(name, state)
    point = _point(flag, name, state, cfg)
    weights = point.weights(state["model"], fresh)
    if cfg.train_only:
        task.check_held_out(name, state, cfg.train_subset)
    elif flag == FINETUNE:
        task.check_still_held_out(name, state)
    if cfg.keep_classifier or cfg.train_only:
        task.check_classifier(name, state)
        if "classifier" not in weights.loaded:
            raise UserError(f"{name} has no classifier that this model can take over: --keep-classifier needs the "
                            "same classifier, or one for all layers, and --train-only the same classifier")
    return point


def starting_heads(cfg: StartConfig) -> dict[str, Any]:
    """The settings of heads that this run takes from the checkpoint that fairseq will start from.

    These are the pooling, where the checkpoint states it, and with ``--train-only`` the heads that it has. A missing or
    unreadable file gives none: ``starting_point`` refuses it.
    """
    _, path = _starting_file(cfg)
    if not PathManager.isfile(path):
        return {}
    try:
        state = read_checkpoint(path)
    except UserError:
        return {}
    pooling, settings = pooling_of(state), model_settings(state)
    kept = KEPT_HEADS if cfg.train_only else ()
    try:
        check_fields(settings, {name: optional(HEADS_KINDS[name]) for name in ("pooling", *kept)}, exact=False)
    except ValueError as error:
        raise UserError(f"{path}: {error}: train it again") from error
    return {name: settings[name] for name in kept
            if name in settings} | ({} if pooling is None else {"pooling": pooling})


def pooling_of(state: dict[str, Any]) -> str | None:
    """The pooling of a checkpoint's heads, or of its authors; None for an encoder that does not state it.

    A model with heads that does not state it was trained before there was a choice.
    """
    return model_settings(state).get("pooling") or (POOLINGS[0] if has_classifier(state["model"]) else None)


def _starting_file(cfg: StartConfig) -> tuple[str, str]:
    """The flag and file that fairseq starts from; the flag is empty for the run's own last checkpoint."""
    last = os.path.join(cfg.save_dir, LAST_CHECKPOINT)
    resumes = PathManager.isfile(last)
    if cfg.restore_file != LAST_CHECKPOINT:
        if resumes:
            logger.warning(f"{last} is ignored: --restore-file starts every launch over. {FINETUNE} resumes")
        return "--restore-file", cfg.restore_file
    if cfg.continue_once and not resumes:
        return "--continue-once", cfg.continue_once
    if cfg.finetune_from_model and not resumes:
        return FINETUNE, cfg.finetune_from_model
    return "", last


def _check_family(name: str, state: dict[str, Any], family: Family) -> None:
    theirs = FAMILIES["roberta"] if is_stock(state["model"]) else ARCHITECTURES.get(
        str(model_settings(state).get("_name")), family)
    if theirs is not family:
        raise UserError(f"{name} is a {theirs.name}, but --arch names a {family.name}: choose a "
                        f"palbert_{theirs.name} of its size")


def _point(flag: str, name: str, state: dict[str, Any], cfg: StartConfig) -> StartingPoint:
    settings, weights = model_settings(state), state["model"]
    _check_settings(name, settings, cfg, [setting for setting in ENCODER_SETTINGS
                                          if setting != "encoder_layers" or not cfg.truncate_encoder])
    if flag != FINETUNE and (is_stock(weights) or not has_classifier(weights)):
        if not all(getattr(cfg, reset) for reset in RESETS):
            flags = " ".join("--" + reset.replace("_", "-") for reset in RESETS)
            raise UserError(f"{name} is an encoder without a classifier: add {flags}, or use {FINETUNE}")
        flag = FINETUNE
    if has_classifier(weights) and not cfg.fresh_heads:
        _check_settings(name, {"pooling": pooling_of(state)}, cfg, ["pooling"])
    if flag != FINETUNE:
        _check_settings(name, settings, cfg, LAMBDA_SETTINGS)
        if not cfg.reset_optimizer:  # the form of its state depends on the precision
            _check_settings(name, state["cfg"].get("common", {}), cfg, PRECISIONS)
        return StartingPoint(name)
    if cfg.train_only:
        _check_every_layer_answers(name, state)
        return StartingPoint(name, ("pooler", "classifier", "learned_exit"))
    same_lambda = all(settings.get(setting) == getattr(cfg, setting) for setting in LAMBDA_SETTINGS)
    heads = tuple(head for head in TRANSFERABLE_HEADS if same_lambda or head != "lambda_module")
    if cfg.keep_classifier:
        heads = (*heads, "classifier")
    return StartingPoint(name, () if cfg.fresh_heads else heads, spread=cfg.keep_classifier,
                         truncate=cfg.truncate_encoder)


def _check_every_layer_answers(name: str, state: dict[str, Any]) -> None:
    if state["cfg"].get("criterion", {}).get("layer_weights") == "last":
        raise UserError(f"{name} was trained for its last layer alone: the layers before it have no answers that a "
                        "lambda module could choose among")


def _check_settings(name: str, settings: dict[str, Any], cfg: StartConfig, names: Iterable[str]) -> None:
    for setting in names:
        saved = settings.get(setting)
        if saved is not None and saved != getattr(cfg, setting):
            raise UserError(f"{name} was made with --{setting.replace('_', '-')} {saved}, which this run sets to "
                            f"{getattr(cfg, setting)}")
