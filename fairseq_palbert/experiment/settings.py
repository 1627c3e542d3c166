"""The settings of an experiment: their types, ranges, defaults and help."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import MISSING

from ..binarized_files import FAIRSEQS_LOG, PROVENANCE_FILE
from ..definitions.content import difference
from ..definitions.definition import TaskDefinition
from ..definitions.packaged import find_task, restored
from ..errors import UserError
from ..json_files import read_json
from ..numbers_from_text import fractions
from ..raw.files import check_raw, raw_folder
from .methods import method_of


class Range(NamedTuple):
    words: str
    holds: Callable[[Any], bool]


POSITIVE = Range("choose a number above 0", lambda value: value > 0)
NOT_NEGATIVE = Range("choose a number from 0 on", lambda value: value >= 0)
PART = Range("choose a number from 0 to 1", lambda value: 0 <= value <= 1)
BETWEEN = Range("choose a number between 0 and 1, both excluded", lambda value: 0 < value < 1)
SEED = Range(f"choose a number from 0 to {2**31 - 1}", lambda value: 0 <= value < 2**31)
TOKENS = Range("choose a number from 8 on, for a pair and its special tokens", lambda value: value >= 8)
STAGE = Range("choose a stage from 1 to 6", lambda value: 1 <= value <= 6)
FRACTION = Range("choose a number from 0 up to, not including, 1", lambda value: 0 <= value < 1)
LONGEST = 1000  # characters of a value, fewer than of a path
REMEDY = "make the data again with palbert data"
BY_TASK = "default: that of encoder and task in hyperparameters.yaml"


def one_of(*choices: str) -> Range:
    return Range(f"choose from {', '.join(choices)}", lambda value: value in choices)


def _are_betas(text: str) -> bool:
    try:
        return bool(fractions(text, 2))
    except ValueError:
        return False


BETAS = Range("choose two numbers from 0 up to, not including, 1, as in (0.9, 0.999)", _are_betas)
# fairseq evaluates the values of some flags, such as --lr and --update-freq, as Python
NO_CALL = Range("that is a call in Python: give numbers, names and paths",
                lambda word: not re.search(r"[^,(\[]\s*\(", word))

# flags that the run directory depends on, and the setting of each
OWN_FLAGS = {"--save-dir": "run_dir", "--tensorboard-logdir": "run_dir", "--task": "task", "--glue-task": "task",
             "--seed": "seeds", "--arch": "arch", "-a": "arch", "--user-dir": None, "--no-save": None}


def setting(default: Any, help: str, allowed: Range | None = None) -> Any:
    """A field; ``allowed`` is the range of its value, or of each value of a list. None is always allowed."""
    metadata = {"help": help, "allowed": allowed}
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Settings:
    task: str = setting(
        MISSING, "your own task file (TOML), a task of GLUE or SuperGLUE (AX is scored with MNLI's model), or Cues, "
                 "the quickstart's task")
    method: str = setting(
        "palbert",
        "palbert, pondernet, pabee, uniform, deebert, fastbert or berxit, each also with _staged; vanilla; or staticK, "
        "the first K layers, at least 2")
    pretrained: str | None = setting(
        None,
        "what to start from: a folder in the Hugging Face layout, a Hub id, an archive of fairseq's RoBERTa, a "
        "converted folder, a checkpoint of this plugin, or none (default: the usual public checkpoint of arch)")
    arch: str | None = setting(None, "palbert_FAMILY_PRESET (default: that of pretrained, else palbert_roberta_tiny)")
    glue_dir: str | None = setting(None, "raw GLUE, one folder a task (default: $GLUE_DIR, else downloaded)")
    superglue_dir: str | None = setting(
        None, "raw SuperGLUE, one folder a task (default: $SUPERGLUE_DIR, else downloaded)")
    vocab_dir: str | None = setting(None, "vocabularies of encoders that have none (default: $VOCAB_DIR)")
    data: str | None = setting(None, "folder of a binarized task, used instead of preprocessing")
    runs_dir: str = setting("runs", "where run directories go by default")
    run_dir: str | None = setting(None, "run directory (default: RUNS_DIR/ARCH[/METHOD]/TASK)")
    run_name: str = setting("", "folder inside the run directory; --multirun names it after the values that vary")
    first_run: str | None = setting(None, "run directory of the method's first phase (default: the usual one)")
    mnli_run: str | None = setting(
        None, "AX: MNLI's run directory; AX-b, AX-g: that of SuperGLUE-RTE (default: beside the run directory)")
    pretrained_dir: str | None = setting(
        None, "folder of converted encoders; each is converted once (default: RUNS_DIR/pretrained)")

    seeds: list[int] = setting([1], "one model is trained and scored for each seed", SEED)
    select_on: str | None = setting(
        None, "split that selects checkpoints (default: valid; for staged methods holdout)", one_of("valid", "holdout"))
    holdout_fraction: float | None = setting(
        None, f"fraction of train that select_on=holdout sets aside ({BY_TASK})", FRACTION)
    train_examples: int | None = setting(None, "train on this many rows of a seeded shuffle (default: all)", POSITIVE)
    detokenize: bool = setting(False, "undo the spaces around punctuation of MRPC and CoLA")
    fresh_heads: bool = setting(False, "take only the encoder from pretrained")
    exits: list[str] | None = setting(None, "exit rules to score, fixed:N for the last layer (default: the method's)")

    max_update: int | None = setting(None, f"updates of training ({BY_TASK})", POSITIVE)
    max_epoch: int | None = setting(None, f"epochs of training, if max_update is not given ({BY_TASK})", POSITIVE)
    lr: float | None = setting(None, f"peak learning rate of encoder and classifier ({BY_TASK})", POSITIVE)
    lambda_lr: float | None = setting(None, f"peak learning rate of the lambda module ({BY_TASK})", POSITIVE)
    beta: float | None = setting(None, f"weight of the KL term ({BY_TASK})", NOT_NEGATIVE)
    prior_lambda: float | None = setting(
        None, "parameter of the prior (default: hyperparameters.yaml, else the criterion's)", BETWEEN)
    batch: int | None = setting(None, f"sentences in an update, over all workers ({BY_TASK})", POSITIVE)
    update_freq: int = setting(1, "batches in an update", POSITIVE)
    length_pool: int | None = setting(None, f"--length-pool of fairseq-train ({BY_TASK})", POSITIVE)
    max_positions: int | None = setting(None, f"most tokens of an example ({BY_TASK})", TOKENS)
    warmup: float | None = setting(None, f"fraction of training with a rising learning rate ({BY_TASK})", PART)
    patience: int | None = setting(
        None,
        "stop after this many validations without a better score (default: hyperparameters.yaml, else never)", POSITIVE)
    weight_decay: float | None = setting(None, f"AdamW's weight decay ({BY_TASK})", NOT_NEGATIVE)
    adam_betas: str | None = setting(None, f"Adam's betas ({BY_TASK})", BETAS)
    adam_eps: float | None = setting(None, f"Adam's epsilon ({BY_TASK})", POSITIVE)
    dropout: float | None = setting(None, f"dropout of the encoder ({BY_TASK})", FRACTION)
    clip_norm: float | None = setting(None, f"largest norm of the gradient, 0 for no limit ({BY_TASK})", NOT_NEGATIVE)
    extra_train_flags: list[str] = setting([], "more flags of fairseq-train; they override the others", NO_CALL)

    search_lr: list[float] = setting(
        [], "learning rates to try: every combination is trained with the first seed, and the best is used", POSITIVE)
    search_lambda_lr: list[float] = setting([], "the same for lambda_lr", POSITIVE)
    search_beta: list[float] = setting([], "the same for beta", NOT_NEGATIVE)

    gate_lr: float | None = setting(None, f"METHOD_staged: learning rate of the second phase ({BY_TASK})", POSITIVE)
    gate_batch: int | None = setting(None, f"METHOD_staged: batch of the second phase ({BY_TASK})", POSITIVE)
    gate_updates: int | None = setting(None, f"METHOD_staged: updates of the second phase ({BY_TASK})", POSITIVE)
    gate_beta: float | None = setting(None, f"METHOD_staged: beta of the second phase ({BY_TASK})", NOT_NEGATIVE)
    gate_target: str = setting("error", "METHOD_staged: --halting-target of the second phase", one_of("loss", "error"))
    layer_cost: list[float] | None = setting(
        None, f"METHOD_staged: --layer-cost; a list trains a gate a cost, in RUN_DIR/costC ({BY_TASK})", NOT_NEGATIVE)
    first_train_flags: list[str] = setting([], "METHOD_staged: extra_train_flags of the first phase", NO_CALL)

    num_gpus: int | None = setting(
        None, "GPUs to train on, for each node (default: 1 if there is one, else 0)", NOT_NEGATIVE)
    cpu_workers: int = setting(0, "processes over gloo to train with on the CPU instead", NOT_NEGATIVE)
    stage: int = setting(
        1, "first stage to run: 1 pretrained encoder, 2 preprocess, 3 search, 4 train, 5 score, 6 table", STAGE)
    stop_stage: int = setting(6, "last stage to run", STAGE)


def check(settings: Settings) -> None:
    """Raises UserError for the first setting that is out of range or contradicts another. Imports no torch."""
    for item in fields(settings):
        value = getattr(settings, item.name)
        for element in value if isinstance(value, list) else [value]:
            _check_value(item.name, element, item.metadata["allowed"])
    if settings.stage > settings.stop_stage:
        raise UserError(f"stage={settings.stage} is after stop_stage={settings.stop_stage}, so that nothing would "
                        "run: lower stage or raise stop_stage")
    task = find_task(settings.task)
    if not (task.valid_splits or task.model_of):
        raise UserError(f"{settings.task}: no splits.valid, which selects checkpoints: add one, such as valid = 0.1")
    method = method_of(settings.method)
    pondering = method_of(method.first_phase) if method.staged else method
    if not settings.seeds or len(set(settings.seeds)) < len(settings.seeds):
        raise UserError(f"seeds={settings.seeds}: name at least one seed, and none twice")
    for name in ("extra_train_flags", "first_train_flags"):
        for word in getattr(settings, name):
            _check_flag(name, word.partition("=")[0])
    for name in ("exits", "layer_cost"):
        if getattr(settings, name) == []:
            raise UserError(f"{name} is empty: name at least one, or leave it out")
    for name in ("glue_dir", "superglue_dir", "vocab_dir", "data"):
        if (folder := getattr(settings, name)) and not Path(folder).is_dir():
            raise UserError(f"{name}={folder} is no folder")
    if settings.data:
        _check_data(settings, task)
    elif raw := raw_folder_of(settings):
        check_raw(task, raw)
    if method.staged and settings.select_on == "valid":
        raise UserError(f"method={settings.method} learns on rows that its first phase held out: select_on=holdout")
    for name in ("beta", "prior_lambda", "lambda_lr", "search_beta", "search_lambda_lr"):
        if getattr(settings, name) not in (None, []) and not pondering.ponders:
            raise UserError(f"{name} is a setting of pondering, and method={settings.method} does not ponder: leave "
                            "it out")


def raw_folder_of(settings: Settings) -> Path | None:
    """The folder of the task's raw files; None where they are to be downloaded."""
    folder = raw_folder(settings.task, {"GLUE_DIR": settings.glue_dir, "SUPERGLUE_DIR": settings.superglue_dir})
    return folder and folder.resolve()


def _check_flag(name: str, flag: str) -> None:
    """Raises UserError for a flag of ``OWN_FLAGS``, also where it is shortened, as fairseq-train allows."""
    for own, instead in OWN_FLAGS.items():
        if flag == own or len(flag) > len("--") and own.startswith(flag):
            remedy = f"set {instead}" if instead else "leave it out"
            raise UserError(f"{name}: {own} is the run directory's own: {remedy}")


def _check_data(settings: Settings, task: TaskDefinition) -> None:
    """Raises UserError unless the folder holds binarized data of the task, or data of fairseq's own script."""
    folder = Path(settings.data)
    about = folder / PROVENANCE_FILE
    if about.exists():
        content = read_json(about, REMEDY)
        held = content.get("task")
        if held != task.name:
            raise UserError(f"data={folder} holds {held!r:.100}, not {task.name}: give the folder of {task.name}")
        if definition := content.get("definition"):
            _check_definition(settings, task, held, definition)
    elif not (folder / FAIRSEQS_LOG).exists():
        raise UserError(f"data={folder} holds no binarized data ({about} is missing): give a folder of palbert data")


def _check_definition(settings: Settings, task: TaskDefinition, held: str, definition: dict[str, Any]) -> None:
    """Raises UserError where the data was made by a definition that differs from the task's."""
    try:
        differing = difference(task, restored(held, definition))
    except ValueError as error:
        raise UserError(f"{Path(settings.data, PROVENANCE_FILE)}: {error}: {REMEDY}") from error
    if differing:
        here, there = differing
        raise UserError(f"data={settings.data} was made by another {task.name}, with {there}, and {settings.task} has "
                        f"{here}: give the folder made by this one, or {REMEDY} --overwrite")


def _check_value(name: str, value: Any, allowed: Range | None) -> None:
    if isinstance(value, str) and len(value) > LONGEST:
        raise UserError(f"{name}={value} has {len(value)} characters: at most {LONGEST}")
    if isinstance(value, str) and not value.isprintable():
        raise UserError(f"{name}={value!r} has more than one line, or characters that do not print")
    if isinstance(value, float) and not isfinite(value) or value is not None and allowed and not allowed.holds(value):
        raise UserError(f"{name}={value}: {allowed.words if allowed else 'choose a finite number'}")


def given(settings: Settings) -> dict[str, Any]:
    """The settings that differ from their defaults."""
    defaults = vars(Settings())
    return {name: value for name, value in vars(settings).items() if value is not None and value != defaults[name]}
