"""Read and write an exported model: ``model.safetensors`` and ``config.json``.

Reading needs torch and safetensors, but no fairseq.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ...errors import UserError
from ...files import write_json
from ...json_files import read_json
from ...modules.encoder import Encoder, EncoderShape
from ...modules.pondering import POOLINGS, HeadsShape, PonderingClassifier

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
FORMAT, FORMAT_VERSION = "fairseq_palbert", 3
# earlier version that is still read: the fields it lacks, with their values in a model of that version
ABSENT_BEFORE = {2: {"encoder": {"relative_buckets": 0},
                     "heads": {"pooling": "first", "lambda_width": None, "lambda_reads": "pooled"}}}
REMEDY = "export the checkpoint again with palbert export"
Fields = TypeVar("Fields")


@dataclass(frozen=True)
class ModelCard:
    """What a network's outputs mean, and what it was trained on: plain values, as ``config.json`` has them.

    ``family``: family of the encoder, a name in ``families``. ``glue_task``: GLUE's name. ``labels``: in the order of
    class ids, empty for regression. ``max_positions``: maximum tokens of an example, special tokens included.
    ``tokenizer``: the record of the vocabulary. ``dictionary``: SHA-256 of the dictionary's symbols, None where
    unknown. ``prior``: over exit layers 1..N, [N], None where training had none. ``updates``: number of training
    updates. ``holdout_fraction`` and ``train_examples``: values of the task's flags of these names.
    """

    family: str
    glue_task: str
    labels: list
    max_positions: int
    tokenizer: dict | None
    dictionary: str | None
    prior: list | None
    updates: int
    holdout_fraction: float = 0.0
    train_examples: int | None = None


def write_model(folder: Path, network: PonderingClassifier, card: ModelCard) -> None:
    """Writes the two files into the existing ``folder``; tensors are stored exactly."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    config = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(card),
              "encoder": asdict(network.encoder.shape), "heads": asdict(network.heads_shape)}
    write_json(folder / CONFIG_FILE, config)


def read_model(folder: Path) -> tuple[PonderingClassifier, ModelCard]:
    """The network, on the CPU and in evaluation mode, in the precision of the stored tensors, and its card.

    Raises UserError at the first fault: a missing or damaged file, another format or version, or a setting or tensor
    that is missing, unexpected, or of another type or shape.
    """
    path = folder / CONFIG_FILE
    config = _read_config(path)
    encoder, heads = (_parsed(path, kind, config.pop(name, None), f"{name}.")
                      for kind, name in ((EncoderShape, "encoder"), (HeadsShape, "heads")))
    card = _parsed(path, ModelCard, config)
    _check_agreement(path, card, encoder, heads)
    network = _empty_network(path, encoder, heads)
    tensors = _read_tensors(folder / WEIGHTS_FILE)
    _check_tensors(folder / WEIGHTS_FILE, tensors, network.state_dict())
    network.load_state_dict(tensors, assign=True)
    return network.eval(), card


def _read_config(path: Path) -> dict[str, Any]:
    """The content of config.json without its format and version, which are checked."""
    config = read_json(path, f"no exported model of fairseq_palbert; {REMEDY}")
    if config.pop("format", None) != FORMAT:
        raise UserError(f"{path}: not of an exported model of fairseq_palbert (it has no \"format\": \"{FORMAT}\"); "
                        f"{REMEDY}")
    version = config.pop("format_version", None)
    if version not in (FORMAT_VERSION, *ABSENT_BEFORE):
        raise UserError(f"{path}: format version {version}, and this code reads versions {min(ABSENT_BEFORE)} to "
                        f"{FORMAT_VERSION}: use the fairseq_palbert that wrote it, or {REMEDY}")
    for part, absent in ABSENT_BEFORE.get(version, {}).items():
        if isinstance(config.get(part), Mapping):
            config[part] = absent | config[part]
    return config


def _parsed(path: Path, kind: type[Fields], values: Any, prefix: str = "") -> Fields:
    """The dataclass ``kind`` made of ``values``, which must have its fields, and no others."""
    values = values if isinstance(values, Mapping) else {}
    for item in fields(kind):
        name = prefix + item.name
        if item.name not in values:
            raise UserError(f"{path}: has no {name}; {REMEDY}")
        if not isinstance(values[item.name], item.type):
            raise UserError(f"{path}: {name} is {values[item.name]!r}, which should be of the type "
                            f"{getattr(item.type, '__name__', item.type)}; {REMEDY}")
    for name in values.keys() - {item.name for item in fields(kind)}:
        raise UserError(f"{path}: has {prefix}{name}, which this code does not know; {REMEDY}")
    return kind(**values)


def _check_agreement(path: Path, card: ModelCard, encoder: EncoderShape, heads: HeadsShape) -> None:
    """Raises UserError where parts of config.json contradict each other."""
    if card.max_positions > encoder.max_positions:
        raise UserError(f"{path}: max_positions {card.max_positions} is more than the encoder has, "
                        f"{encoder.max_positions}")
    if heads.pooling not in POOLINGS:
        raise UserError(f"{path}: heads.pooling is {heads.pooling!r}: it is one of {', '.join(POOLINGS)}; {REMEDY}")
    if heads.outputs != (len(card.labels) or 1):
        raise UserError(f"{path}: heads.outputs {heads.outputs} does not fit the labels {card.labels}")
    if card.prior is not None and len(card.prior) != encoder.layers:
        raise UserError(f"{path}: a prior of {len(card.prior)} layers does not fit encoder.layers {encoder.layers}")


def _empty_network(path: Path, encoder: EncoderShape, heads: HeadsShape) -> PonderingClassifier:
    """The network on the meta device, since its tensors are read from the file."""
    try:
        with torch.device("meta"):
            return PonderingClassifier(Encoder(encoder), heads)
    except (ArithmeticError, AssertionError, LookupError, RuntimeError, ValueError) as error:
        raise UserError(f"{path}: no model can be built from it ({type(error).__name__}: {error}); {REMEDY}") from error


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        # copied: tensors of the file lie at unaligned addresses, where matrix products may round differently
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {REMEDY}") from error
    except SafetensorError as error:
        raise UserError(f"{path}: truncated, or not safetensors ({error}); {REMEDY}") from error


def _check_tensors(path: Path, offered: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    for name, tensor in expected.items():
        if name not in offered:
            raise UserError(f"{path}: has no tensor {name}, which {CONFIG_FILE} asks for")
        if offered[name].shape != tensor.shape or not offered[name].is_floating_point():
            raise UserError(f"{path}: {name} is {_described(offered[name])}, and {CONFIG_FILE} asks for "
                            f"{_described(tensor)}")
    for name in offered:
        if name not in expected:
            raise UserError(f"{path}: has a tensor {name}, which {CONFIG_FILE} does not ask for")


def _described(tensor: Tensor) -> str:
    """A tensor for a message: float32 3 x 8"""
    return f"{str(tensor.dtype).removeprefix('torch.')} {' x '.join(map(str, tensor.shape))}".rstrip()
