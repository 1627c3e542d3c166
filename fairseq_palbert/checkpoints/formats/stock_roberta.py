"""Read fairseq's own RoBERTa from its archive or from a checkpoint."""

import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from typing import Any

from torch import Tensor

from ...errors import UserError
from ...families import FAMILIES
from ...tokenization.vocabulary import DICTIONARY_FILE
from .checkpoint_file import model_settings, read_checkpoint
from .encoder_source import POOLER, TOKENS, EncoderSource, check_layers, check_tensor, expected_tensors, shape_of
from .names import ENCODER
from .stock_checkpoint import encoder_from_stock, is_stock

MODEL_FILE = "model.pt"
ARCHIVES = (".tar.gz", ".tgz", ".tar")
SAME_NAME = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads", "activation_fn",
             "dropout", "attention_dropout", "activation_dropout")
ACTIVATIONS = {"gelu_accurate": "gelu_tanh", "gelu_fast": "gelu_tanh", "swish": "silu"}  # the others have the same name
KNOWN_ACTIVATIONS = ("gelu", "relu", "tanh", *ACTIVATIONS)
NORM_EPS = 1e-5  # torch's default, which fairseq uses
INFLATION = 20  # weights hardly compress: RoBERTa's archives unpack to 1.1 times their size
POSITIONS = ENCODER + "embed_positions.weight"


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpacks the checkpoint and the dictionary of an archive to a temporary folder, which is removed after the block.

    Raises UserError for a file that is not such an archive, and for one that unpacks to far more than its own size.
    """
    left = INFLATION * path.stat().st_size
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    left -= member.size
                    if left < 0:
                        raise UserError(f"{path}: cannot be unpacked: its files are more than {INFLATION} times its "
                                        "own size, as no weights are: download it again")
                    name = Path(member.name).name
                    if member.isfile() and name in (MODEL_FILE, DICTIONARY_FILE):
                        with archive.extractfile(member) as packed, open(Path(folder) / name, "wb") as file:
                            copyfileobj(packed, file)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise UserError(f"{path}: cannot be unpacked ({error}): download it again") from error
        if not (Path(folder) / MODEL_FILE).is_file():
            raise UserError(f"{path}: has no {MODEL_FILE}, so it is no archive of fairseq's RoBERTa")
        yield Path(folder)


def read_stock(checkpoint: Path, name: str, files: tuple[Path, ...]) -> EncoderSource:
    """Reads the encoder of a checkpoint, old or new, that messages call ``name``; ``files`` are those the user named.

    Raises UserError at the first fault: a damaged file, another model, a setting that this plugin cannot represent
    exactly, or a tensor that does not fit the settings.
    """
    state = read_checkpoint(checkpoint, name)
    if not is_stock(state["model"]):
        made_here = str(model_settings(state).get("_name")).startswith("palbert_")
        raise UserError(f"{name} is a checkpoint of this plugin already: training starts from it as it is" if made_here
                        else f"{name} holds no RoBERTa of fairseq: its first tensor is "
                        f"{next(iter(state['model']), 'missing')}")
    encoder, others = encoder_from_stock(state["model"])
    weights = {ENCODER + tensor: value for tensor, value in encoder.items()}
    family = FAMILIES["roberta"]
    settings = _settings(name, model_settings(state), weights, family.first_position)
    dropped = others + [tensor for tensor in state["model"] if tensor.endswith(".sentence_encoder.version")]
    shape = shape_of(name, family, settings, len(weights.get(TOKENS, ())))
    check_layers(name, shape, weights)
    _check(name, weights, expected_tensors(shape))
    dictionary = checkpoint.with_name(DICTIONARY_FILE)
    return EncoderSource(name, files, family, settings, weights, native_rows=False,
                         used=[tensor for tensor in state["model"] if tensor not in dropped], dropped=dropped,
                         dictionary=dictionary if dictionary.is_file() else None)


def _settings(name: str, given: Mapping[str, Any], weights: Mapping[str, Tensor],
              first_position: int) -> dict[str, Any]:
    for setting in SAME_NAME:
        if given.get(setting) is None:
            raise UserError(f"{name} does not say its {setting}")
    if not given.get("no_scale_embedding", True):
        raise UserError(f"{name} scales its embeddings (no_scale_embedding is False), and this plugin does not")
    if given["activation_fn"] not in KNOWN_ACTIVATIONS:
        raise UserError(f"{name}: activation_fn is {given['activation_fn']!r}, and this plugin has "
                        f"{', '.join(KNOWN_ACTIVATIONS)}")
    settings = {setting: given[setting] for setting in SAME_NAME}
    settings["activation_fn"] = ACTIVATIONS.get(settings["activation_fn"], settings["activation_fn"])
    return settings | {
        # counted in the embedding, since the setting max_positions may differ
        "encoder_max_positions": len(weights[POSITIONS]) - first_position if POSITIONS in weights
        else given["max_positions"],
        "encoder_embedding_dim": None, "encoder_groups": None, "encoder_inner_layers": None, "encoder_segments": 0,
        "encoder_norm_eps": NORM_EPS, "encoder_relative_buckets": None,
    }


def _check(name: str, weights: Mapping[str, Tensor], expected: Mapping[str, Any]) -> None:
    encoder = {tensor: size for tensor, size in expected.items() if not tensor.startswith(POOLER)}
    for tensor, size in encoder.items():
        if tensor not in weights:
            raise UserError(f"{name} has no tensor {tensor.removeprefix(ENCODER)} in its encoder, which its settings "
                            "ask for")
        check_tensor(f"{name}: {tensor.removeprefix(ENCODER)}", weights[tensor], size, "its settings")
    for tensor in weights:
        if tensor not in encoder:
            raise UserError(f"{name} has a tensor {tensor.removeprefix(ENCODER)} in its encoder, which this plugin's "
                            "lacks")
