"""Read encoders of all families in the Hugging Face layout.

``settings`` are fields of ``models.palbert.PalbertConfig``. ``theirs`` is the Hugging Face name of a tensor or setting,
``ours`` the name in this plugin.
"""

import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...errors import UserError
from ...families import FAMILIES, Family
from ...modules.encoder import EncoderShape
from .encoder_source import POOLER, SEGMENTS, EncoderSource, check_layers, check_tensor, expected_tensors, shape_of
from .names import ENCODER

CONFIG_FILE = "config.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX = ".index.json"  # names the file of each tensor, for weights in several files
SIZES = {
    "encoder_layers": "num_hidden_layers",
    "encoder_embed_dim": "hidden_size",
    "encoder_ffn_embed_dim": "intermediate_size",
    "encoder_attention_heads": "num_attention_heads",
}
SEGMENTED = {"encoder_segments": "type_vocab_size"}
RELATIVE = {"encoder_relative_buckets": "relative_attention_num_buckets"}
FRACTIONS = {
    "encoder_norm_eps": "layer_norm_eps",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
}
FACTORISED = {
    "encoder_embedding_dim": "embedding_size",
    "encoder_groups": "num_hidden_groups",
    "encoder_inner_layers": "inner_group_num",
}
# ours by theirs
ACTIVATIONS = {
    "gelu": "gelu", "gelu_python": "gelu",
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh", "gelu_accurate": "gelu_tanh",
    "relu": "relu", "silu": "silu", "swish": "silu", "tanh": "tanh",
}
# defaults of transformers for settings that an older config.json leaves out; sizes are never left out
DEFAULTS = {
    "type_vocab_size": 2, "max_position_embeddings": 512, "layer_norm_eps": 1e-12, "num_hidden_groups": 1,
    "inner_group_num": 1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
}
# settings that change what the encoder computes, and the only value that this plugin supports
FIXED = {"is_decoder": False, "add_cross_attention": False, "position_embedding_type": "absolute", "pruned_heads": {},
         "quantization_config": None}
POOLING_FILE = "1_Pooling/config.json"  # of sentence-transformers
POOLING_MODE = "pooling_mode_"
POOLING_MODES = {"cls_token": "first", "mean_tokens": "mean"}  # ours by theirs
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # constants: 0, 1, 2, ... and zeros
PARTS = ("embeddings.", "encoder.", "pooler.")
OLD_LEAVES = {"gamma": "weight", "beta": "bias"}  # of LayerNorm in early checkpoints


def read_hugging_face(folder: Path, name: str, pooling: str | None = None) -> EncoderSource:
    """Reads the encoder in ``folder``, which messages call ``name``, and drops the tensors of any head.

    ``pooling`` overrides the folder's own, which sentence-transformers writes. Raises UserError at the first fault: a
    missing or damaged file, a setting that this plugin cannot represent exactly, or a tensor that does not fit
    config.json.
    """
    config = _read_json(folder / CONFIG_FILE)
    family = _family(folder / CONFIG_FILE, config)
    pooling = pooling or _pooling(folder / POOLING_FILE)
    settings, vocabulary = settings_of(folder / CONFIG_FILE, config, family)
    tensors, files = read_weights(folder)
    theirs, dropped = _encoder_tensors(tensors, family)
    weights = _to_ours(name, theirs, family, shape_of(name, family, settings, vocabulary))
    if _adds_nothing(weights, family):
        del weights[SEGMENTS]
        settings["encoder_segments"] = 0
        dropped += [original for original in tensors if original.endswith("token_type_embeddings.weight")]
    return EncoderSource(name, (folder / CONFIG_FILE, *files), family, settings, weights,
                         used=[original for original in tensors if original not in dropped], dropped=dropped,
                         native_rows=True, pooling=pooling)


def _pooling(path: Path) -> str | None:
    """The pooling that ``path`` names; None where there is no such file, as outside of sentence-transformers.

    Raises UserError for a pooling that this plugin does not have.
    """
    if not path.is_file():
        return None
    modes = [mode.removeprefix(POOLING_MODE) for mode, on in _read_json(path).items()
             if mode.startswith(POOLING_MODE) and on]
    if len(modes) != 1 or modes[0] not in POOLING_MODES:
        raise UserError(f"{path}: pools by {' and '.join(modes) or 'nothing known'}, and this plugin by "
                        f"{' or '.join(POOLING_MODES)}: choose with --pooling")
    return POOLING_MODES[modes[0]]


def _family(path: Path, config: Mapping[str, Any]) -> Family:
    known = {family.model_type: family for family in FAMILIES.values()}
    model_type = config.get("model_type")
    if model_type not in known:
        fault = "it names no model_type" if model_type is None else f"model_type {model_type!r}"
        raise UserError(f"{path}: {fault}, and this plugin has {', '.join(known)}")
    return known[model_type]


def settings_of(path: Path, config: Mapping[str, Any], family: Family) -> tuple[dict[str, Any], int]:
    """The settings of the encoder that ``config`` describes, and the number of rows of its token embedding.

    Raises UserError, which names the file ``path``, at the first setting that is missing, malformed, or that this
    plugin cannot represent exactly.
    """
    config = {**DEFAULTS, **family.defaults, **config}
    for theirs, value in {**FIXED, **family.fixed}.items():
        if config.get(theirs) not in (None, value):
            raise UserError(f"{path}: {theirs} is {config[theirs]!r}, and this plugin computes {value!r} alone")
    sizes = SIZES | (FACTORISED if family.factorised else {}) | (RELATIVE if family.has_relative_bias else {})
    settings = dict.fromkeys(FACTORISED | RELATIVE) | {"encoder_segments": 0}
    for ours, theirs in (sizes | (SEGMENTED if family.has_segments else {})).items():
        settings[ours] = _number(path, config, theirs, int)
    for ours, theirs in FRACTIONS.items():
        settings[ours] = float(_number(path, config, theirs, (int, float)))
    if config["hidden_act"] not in ACTIVATIONS:
        raise UserError(f"{path}: hidden_act is {config['hidden_act']!r}, and this plugin has {', '.join(ACTIVATIONS)}")
    settings["activation_fn"] = ACTIVATIONS[config["hidden_act"]]
    settings["activation_dropout"] = 0.0
    settings["encoder_max_positions"] = _number(path, config, "max_position_embeddings", int) - family.first_position
    _check_sizes(path, family, settings)
    return settings, _number(path, config, "vocab_size", int)


def _check_sizes(path: Path, family: Family, settings: Mapping[str, Any]) -> None:
    """Raises UserError for sizes with which this plugin cannot build an encoder of the family."""
    layers, hidden, heads = (settings[f"encoder_{name}"] for name in ("layers", "embed_dim", "attention_heads"))
    if settings["encoder_segments"] > 1 and not family.tells_segments:
        raise UserError(f"{path}: type_vocab_size is {settings['encoder_segments']}, and a {family.name} of this "
                        "plugin has 1 at most: its tokenizer marks no second segment")
    if settings["encoder_max_positions"] < 1:
        raise UserError(f"{path}: max_position_embeddings is "
                        f"{settings['encoder_max_positions'] + family.first_position}, of which a {family.name} never "
                        f"uses the first {family.first_position}")
    if hidden % heads:
        raise UserError(f"{path}: hidden_size {hidden} is not divisible by num_attention_heads {heads}")
    if (settings["encoder_groups"] or 1) > layers:
        raise UserError(f"{path}: num_hidden_groups {settings['encoder_groups']} is more than num_hidden_layers "
                        f"{layers}")


def _number(path: Path, config: Mapping[str, Any], theirs: str, kind: type | tuple) -> int | float:
    value = config.get(theirs)
    if isinstance(value, bool) or not isinstance(value, kind) or value < (1 if kind is int else 0):
        raise UserError(f"{path}: {theirs} is {value!r}, which is no {'size' if kind is int else 'number'} of an "
                        "encoder")
    return value


def their_modules(family: Family, shape: EncoderShape, module: str) -> tuple[str, ...]:
    """The Hugging Face names, without a prefix, of our ``module`` of the encoder or pooler.

    layers.0.fc1 -> encoder.layer.0.intermediate.dense; qkv_proj has three: query, key and value.
    """
    if not module.startswith("layers."):
        names, places = family.tensors[module], {}
    else:
        _, index, part = module.split(".")
        names = family.tensors[f"layers.{{layer}}.{part}"]
        group, inner = divmod(int(index), shape.inner_layers)
        places = {"layer": index, "group": group, "inner": inner}
    return tuple(name.format(**places) for name in ((names,) if isinstance(names, str) else names))


def _encoder_tensors(tensors: Mapping[str, Tensor], family: Family) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of encoder and pooler by current names without a prefix, and the original names of all others."""
    prefix = family.model_type + "."
    if not any(original.startswith(prefix) for original in tensors):
        prefix = ""
    theirs, dropped = {}, []
    for original, tensor in tensors.items():
        name = original.removeprefix(prefix)
        inside = original.startswith(prefix) if prefix else name.startswith(PARTS)
        if not inside or name in BUFFERS:
            dropped.append(original)
            continue
        module, _, leaf = name.rpartition(".")
        theirs[f"{module}.{OLD_LEAVES.get(leaf, leaf)}"] = tensor
    return theirs, dropped


def _to_ours(where: str, theirs: Mapping[str, Tensor], family: Family, shape: EncoderShape) -> dict[str, Tensor]:
    """Our tensors, concatenated from theirs.

    Raises UserError for a tensor that is missing, unexpected, or of another size than expected.
    """
    weights, unread = {}, dict(theirs)
    pools = any(name.startswith("pooler.") for name in theirs)
    check_layers(where, shape, theirs)
    for ours, (rows, *columns) in expected_tensors(shape).items():
        if ours.startswith(POOLER) and not pools:
            continue
        module, _, leaf = ours.replace(POOLER, "pooler.").removeprefix(ENCODER).rpartition(".")
        names = [f"{their_module}.{leaf}" for their_module in their_modules(family, shape, module)]
        for name in names:
            if name not in unread:
                raise UserError(f"{where}: has no tensor {name}, which its {CONFIG_FILE} asks for")
            check_tensor(f"{where}: {name}", unread[name], (rows // len(names), *columns), f"its {CONFIG_FILE}")
        weights[ours] = torch.cat([unread.pop(name) for name in names])
    for name in unread:
        raise UserError(f"{where}: has a tensor {name}, which its {CONFIG_FILE} does not ask for")
    return weights


def _adds_nothing(weights: Mapping[str, Tensor], family: Family) -> bool:
    """Whether the only segment embedding is zero in a family without segments, as in fairseq's RoBERTa on the Hub."""
    segments = weights.get(SEGMENTS)
    return not family.tells_segments and segments is not None and len(segments) == 1 and not segments.any()


def read_weights(folder: Path) -> tuple[dict[str, Tensor], tuple[Path, ...]]:
    """All tensors of the folder, from one file or the files that an index names, and these files.

    Raises UserError for a file that is missing or damaged.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return _read_tensors(folder / name), (folder / name,)
        index = folder / (name + INDEX)
        if index.is_file():
            places = _read_json(index).get("weight_map")
            if not isinstance(places, dict):
                raise UserError(f"{index}: has no weight_map")
            files = tuple(folder / file for file in dict.fromkeys(places.values()))
            tensors = {}
            for file in files:
                tensors |= _read_tensors(file)
            return tensors, (index, *files)
    raise UserError(f"{folder}: has neither {' nor '.join(WEIGHT_FILES)}: give a folder of pretrained weights")


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, AttributeError, pickle.UnpicklingError,
            SafetensorError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{path}: cannot be read as weights: {reason[0].split('. ')[0]}") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise UserError(f"{path}: does not hold tensors by name")
    return dict(tensors)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object")
    return content
