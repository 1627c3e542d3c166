"""Rebuild the configuration in a checkpoint from this project's dataclasses."""

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, TypeVar, get_args

from ..criterions.act import ActConfig
from ..criterions.every_layer import EveryLayerConfig
from ..criterions.multi_exit_classification import MultiExitClassificationConfig
from ..criterions.ponder_classification import PonderClassificationConfig
from ..errors import UserError
from ..families import ARCHITECTURES, Family
from ..models.palbert import EARLIER_DEFAULTS, PalbertConfig
from ..models.ponder_rnn import PonderRnnConfig, RecurrentConfig
from ..models.presets import BARE
from ..modules.pondering import POOLINGS, HeadsShape
from ..schema import BOOLEAN, Kind, check_fields, choice, integer, list_of, number, optional, text
from ..tasks.parity import ParityConfig
from ..tasks.sentence_task import SentenceConfig
from .formats.checkpoint_file import model_settings
from .formats.names import ENCODER_FIELDS

LARGEST = 2**53
TYPES = {bool: BOOLEAN, int: integer(-LARGEST, LARGEST), float: number(-1e300, 1e300), str: text()}
CRITERIONS = {"ponder_classification": PonderClassificationConfig,
              "multi_exit_classification": MultiExitClassificationConfig, "act": ActConfig}
TASKS = {"glue": SentenceConfig, "parity": ParityConfig}
RECURRENT = {"ponder_rnn": PonderRnnConfig, "act_rnn": RecurrentConfig}
Config = TypeVar("Config")


@dataclass(frozen=True)
class Configuration:
    """What a checkpoint's model was built from and trained with; every value has its field's type.

    ``encoder`` has every setting of ``names.ENCODER_FIELDS``, presets filled in. ``heads`` are those of a regression:
    the task decides on the outputs.
    """

    family: Family
    encoder: dict[str, Any]
    heads: HeadsShape


def model_configuration(name: str, state: dict[str, Any]) -> Configuration:
    """The model's configuration in the checkpoint ``state``, which messages call ``name``.

    Raises UserError for another architecture than ours and for a value of another type.
    """
    given = model_settings(state)
    arch = str(given.get("_name", "an unnamed one"))
    if arch not in ARCHITECTURES:
        raise UserError(f"{name}: holds no model of --arch palbert_FAMILY, but {arch}: convert it first")
    family, settings = ARCHITECTURES[arch], vars(_rebuilt(name, EARLIER_DEFAULTS | given, PalbertConfig))
    preset = family.presets[BARE]
    encoder = {setting: preset.get(setting) if settings[setting] is None else settings[setting]
               for setting in ENCODER_FIELDS.values()}
    heads = {item.name: settings[item.name] for item in fields(HeadsShape) if item.name != "outputs"}
    try:
        return Configuration(family, encoder, HeadsShape(1, **heads | {"pooling": heads["pooling"] or POOLINGS[0]}))
    except UserError as error:
        raise UserError(f"{name}: {error}") from error


def recurrent_configuration(name: str, state: dict[str, Any]) -> RecurrentConfig:
    """The configuration of a model of ``--arch ponder_rnn`` or ``act_rnn``.

    Raises UserError for another architecture and for a value of another type.
    """
    given = model_settings(state)
    arch = str(given.get("_name", "an unnamed one"))
    if arch not in RECURRENT:
        raise UserError(f"{name}: holds no model of --arch {' or '.join(RECURRENT)}, but {arch}")
    return _rebuilt(name, given, RECURRENT[arch])


def task_configuration(name: str, state: dict[str, Any]) -> SentenceConfig | ParityConfig:
    """The task's configuration. Raises UserError for another task than ours and for a value of another type."""
    given = state["cfg"].get("task", {})
    if not given:
        raise UserError(f"{name}: not a checkpoint of fairseq_palbert (it has no task configuration)")
    task = str(given.get("_name"))
    if task not in TASKS:
        raise UserError(f"{name}: trained with --task {task}: only --task {' and '.join(TASKS)} can be scored")
    return _rebuilt(name, given, TASKS[task])


def criterion_configuration(name: str, state: dict[str, Any]) -> EveryLayerConfig:
    """The criterion's configuration. Raises UserError for another one than ours and for a value of another type."""
    given = state["cfg"].get("criterion", {})
    criterion = str(given.get("_name"))
    if criterion not in CRITERIONS:
        raise UserError(f"{name}: trained with --criterion {criterion}: choose a checkpoint of "
                        f"{' or '.join(CRITERIONS)}")
    return _rebuilt(name, given, CRITERIONS[criterion])


def compared_settings(name: str, state: dict[str, Any]) -> dict[str, str | float]:
    """What runs are compared by: architecture, learning rate, seed, and every flag of the criterion that is set."""
    criterion = criterion_configuration(name, state)
    flags = {flag: str(value) if isinstance(value, Enum) else value for flag, value in vars(criterion).items()
             if flag != "_name" and value is not None}
    cfg = state["cfg"]
    training = {"lr": cfg.get("optimization", {}).get("lr"), "seed": cfg.get("common", {}).get("seed")}
    _check(name, training, {"lr": list_of(number(0, 1e9), 1, 10000), "seed": TYPES[int]})
    return {"arch": model_settings(state)["_name"], "criterion": criterion._name, "lr": training["lr"][0],
            "seed": training["seed"], **flags}


def _rebuilt(name: str, given: dict[str, Any], config: type[Config]) -> Config:
    """An instance of the dataclass; fields that ``given`` lacks keep their defaults, and others are ignored.

    So do fields that fairseq's own settings fill in: they say how training ran, not what the model is.
    """
    kinds = {item.name: _kind(item.type) for item in fields(config) if not str(item.default).startswith("${")}
    _check(name, given, kinds)
    return config(**{field: given[field] for field in kinds if field in given})


def _check(name: str, given: dict[str, Any], kinds: dict[str, Kind]) -> None:
    try:
        check_fields(given, kinds, exact=False)
    except ValueError as error:
        raise UserError(f"{name}: {error}: train or convert it again with this project") from error


def _kind(annotation: Any) -> Kind:
    """The values of a dataclass's field with this annotation."""
    if get_args(annotation):  # Optional[X] has the arguments X and None
        return optional(_kind(get_args(annotation)[0]))
    if issubclass(annotation, Enum):
        return choice(*(member.value for member in annotation))
    return TYPES[annotation]
