"""Read and write an exported model: ``model.safetensors`` and ``config.json``.

Reading needs torch and safetensors, but no fairseq.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...definitions.definition import TaskDefinition
from ...definitions.packaged import restored
from ...errors import UserError
from ...families import FAMILIES
from ...files import check_regular, write_json
from ...json_files import read_json
from ...modules.encoder import ENCODER_KINDS, Encoder, EncoderShape
from ...modules.pondering import HEADS_KINDS, HeadsShape, PonderingClassifier
from ...modules.without_memory import without_memory
from ...schema import BOOLEAN, OBJECT, check_fields, choice, integer, list_of, number, optional, text
from ...tensor_files import save_tensors
from ...tokenization.identity import TOKENIZER_KIND
from .digests import config_sha256, tensors_sha256
from .encoder_source import described
from .weights import check_weights

WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"
FORMAT, FORMAT_VERSION = "fairseq_palbert", 5
CONFIG_SHA256, TENSORS_SHA256, FIRST_WITH_DIGESTS = "config_sha256", "tensors_sha256", 4
# earlier version that is still read: the fields it lacks, with their values in a model of that version
ABSENT_BEFORE = {2: {"encoder": {"relative_buckets": 0}, "detokenized": None,
                     "heads": {"pooling": "first", "lambda_width": None, "lambda_reads": "pooled"}, "definition": None},
                 3: {"detokenized": None, "definition": None}, 4: {"definition": None}}
FLOATS = ("F64", "F32", "F16", "BF16")  # safetensors' names
REMEDY = "export the checkpoint again with palbert export"
CARD_KINDS = {
    "family": choice(*FAMILIES), "glue_task": text(100), "labels": list_of(text(100), 0, 1000),
    "max_positions": integer(8, 2**24),  # a pair and its special tokens
    "tokenizer": optional(TOKENIZER_KIND),
    "dictionary": optional(text(64)), "prior": optional(list_of(number(0, 1), 1, 256)),
    "updates": integer(0, 2**53), "holdout_fraction": number(0, 1), "train_examples": optional(integer(1, 2**53)),
    "detokenized": optional(BOOLEAN), "definition": optional(OBJECT),
}


@dataclass(frozen=True)
class ModelCard:
    """What a network's outputs mean, and what it was trained on: plain values, as ``config.json`` has them.

    ``family``: family of the encoder, a name in ``families``. ``glue_task``: the task's name. ``labels``: in the order
    of class ids, empty for regression. ``max_positions``: maximum tokens of an example, special tokens included.
    ``tokenizer``: the record of the vocabulary. ``dictionary``: SHA-256 of the dictionary's symbols, None where
    unknown. ``prior``: over exit layers 1..N, [N], None where training had none. ``updates``: number of training
    updates. ``holdout_fraction`` and ``train_examples``: values of the task's flags of these names. ``detokenized``:
    whether the spaces around punctuation were removed first, None where unknown. ``definition``: the task's, None for a
    task of the package.
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
    detokenized: bool | None = None
    definition: dict | None = None

    @property
    def task(self) -> TaskDefinition:
        """Raises ValueError, whose message is a phrase, where the fields define no task."""
        return restored(self.glue_task, self.definition, self.labels)


def write_model(folder: Path, network: PonderingClassifier, card: ModelCard) -> None:
    """Writes the two files into the existing ``folder``; tensors are stored exactly.

    Each file holds a digest of the other: not every setting shows in the tensors' shapes.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    config = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(card),
              "encoder": asdict(network.encoder.shape), "heads": asdict(network.heads_shape),
              TENSORS_SHA256: tensors_sha256(tensors)}
    save_tensors(tensors, folder / WEIGHTS_FILE, {"format": "pt", CONFIG_SHA256: config_sha256(config)})
    write_json(folder / CONFIG_FILE, config)


def read_model(folder: Path) -> tuple[PonderingClassifier, ModelCard]:
    """The network, on the CPU and in evaluation mode, in the precision of the stored tensors, and its card.

    Raises UserError at the first fault: a missing or damaged file, another format or version, configuration or numbers
    other than those that were written, a setting that is missing, unexpected or out of range, or a tensor that is
    missing, unexpected, of another type or shape, or not finite. No memory is allocated before settings and shapes are
    right.
    """
    path, weights = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    config = read_json(path, f"no exported model of fairseq_palbert; {REMEDY}")
    version = _check_version(path, config)
    content = _with_absent_fields(config, version)
    tensors_digest = content.pop(TENSORS_SHA256, None)
    try:
        encoder, heads, card = _parsed(content)
    except ValueError as error:
        raise UserError(f"{path}: {error}; {REMEDY}") from error
    with _opened(weights) as file:
        _check_digest(path, config, version, (file.metadata() or {}).get(CONFIG_SHA256))
        _check_layers(weights, encoder, file.keys())
        with without_memory():  # the tensors are read from the file
            network = PonderingClassifier(Encoder(encoder), heads)
        _check_tensors(weights, {name: file.get_slice(name) for name in file.keys()}, network.state_dict())
        # cloned: tensors of the file lie at unaligned addresses, where matrix products may round differently
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    check_weights(weights, tensors)
    if tensors_digest not in (None, tensors_sha256(tensors)):
        raise UserError(f"{weights}: has other numbers than it was written with; {REMEDY}")
    network.load_state_dict(tensors, assign=True)
    return network.eval(), card


def _check_version(path: Path, config: Mapping[str, Any]) -> int:
    """The format version. Raises UserError where the configuration is of another format, or of an unknown version."""
    if config.get("format") != FORMAT:
        raise UserError(f"{path}: not of an exported model of fairseq_palbert (it has no \"format\": \"{FORMAT}\"); "
                        f"{REMEDY}")
    version = config.get("format_version")
    if version not in (FORMAT_VERSION, *ABSENT_BEFORE):
        raise UserError(f"{path}: format version {version!r:.40}, and this code reads versions {min(ABSENT_BEFORE)} to "
                        f"{FORMAT_VERSION}: use the fairseq_palbert that wrote it, or {REMEDY}")
    return version


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens the file of safetensors: its header is checked, its tensors are not read yet."""
    check_regular(path, REMEDY)
    try:
        file = safe_open(path, "pt")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {REMEDY}") from error
    except SafetensorError as error:
        raise UserError(f"{path}: truncated, or not safetensors ({error}); {REMEDY}") from error
    with file:
        yield file


def _check_digest(path: Path, config: Mapping[str, Any], version: int, stored: str | None) -> None:
    """Raises UserError where the weights' metadata has the digest of another configuration, or lacks it."""
    if stored != config_sha256(config) and (stored is not None or version >= FIRST_WITH_DIGESTS):
        raise UserError(f"{path}: is not the configuration that {WEIGHTS_FILE} was written with; {REMEDY}")


def _with_absent_fields(config: dict[str, Any], version: int) -> dict[str, Any]:
    """The configuration without format and version, and with the fields that the version lacks."""
    content = {name: value for name, value in config.items() if name not in ("format", "format_version")}
    for part, absent in ABSENT_BEFORE.get(version, {}).items():
        value = content.get(part)
        content[part] = absent | value if isinstance(absent, dict) and isinstance(value, dict) else value
    return content


def _parsed(config: Mapping[str, Any]) -> tuple[EncoderShape, HeadsShape, ModelCard]:
    """Raises ValueError, whose message is a phrase, for a wrong field and for fields that contradict each other."""
    parts = {"encoder": ENCODER_KINDS, "heads": HEADS_KINDS}
    for part, kinds in parts.items():
        check_fields(config.get(part), kinds, f"{part}.")
    about = {name: value for name, value in config.items() if name not in parts}
    check_fields(about, CARD_KINDS)
    encoder, heads, card = EncoderShape(**config["encoder"]), HeadsShape(**config["heads"]), ModelCard(**about)
    if card.max_positions > encoder.max_positions:
        raise ValueError(f"max_positions {card.max_positions} is more than the encoder has, {encoder.max_positions}")
    if heads.outputs != card.task.outputs:
        raise ValueError(f"heads.outputs {heads.outputs} does not fit the task's {card.task.outputs}")
    if card.prior is not None and len(card.prior) != encoder.layers:
        raise ValueError(f"a prior of {len(card.prior)} layers does not fit encoder.layers {encoder.layers}")
    if card.prior is not None and not math.isclose(sum(card.prior), 1, rel_tol=1e-4):
        raise ValueError(f"prior has the sum {sum(card.prior):g}, and should have the sum 1")
    return encoder, heads, card


def _check_layers(path: Path, encoder: EncoderShape, names: Iterable[str]) -> None:
    """Raises UserError unless the file has as many Transformer layers, before so many are built."""
    stored = len({name.split(".")[2] for name in names if name.startswith("encoder.layers.")})
    wanted = (encoder.groups or encoder.layers) * encoder.inner_layers
    if stored != wanted:
        raise UserError(f"{path}: has {stored} Transformer layers, and {CONFIG_FILE} asks for {wanted}")


def _check_tensors(path: Path, offered: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    """Compares names, types and shapes; ``offered`` holds slices of safetensors."""
    for name, tensor in expected.items():
        if name not in offered:
            raise UserError(f"{path}: has no tensor {name}, which {CONFIG_FILE} asks for")
        stored, wanted = offered[name], list(tensor.shape)
        if stored.get_shape() != wanted or stored.get_dtype() not in FLOATS:
            raise UserError(f"{path}: {name} is {stored.get_dtype()} {described(stored.get_shape())}, and "
                            f"{CONFIG_FILE} asks for {described(wanted)} of floating-point numbers")
    for name in offered:
        if name not in expected:
            raise UserError(f"{path}: has a tensor {name}, which {CONFIG_FILE} does not ask for")
