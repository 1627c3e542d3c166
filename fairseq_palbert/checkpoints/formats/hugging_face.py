"""Read encoders of all families in the Hugging Face layout.

``settings`` are fields of ``models.palbert.PalbertConfig``. ``theirs`` is the Hugging Face name of a tensor or setting,
``ours`` the name in this plugin.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ...errors import UserError
from ...families import FAMILIES, Family
from ...json_files import read_json
from ...modules.encoder import EncoderShape
from ...schema import Kind, choice, integer, number
from .encoder_source import POOLER, SEGMENTS, EncoderSource, check_layers, check_tensor, expected_tensors, shape_of
from .names import ENCODER
from .sentence_transformers import pooling_of
from .torch_file import read_torch_file
from .weights import check_weights

CONFIG_FILE = "config.json"
REMEDY = "download it again, or give another folder of pretrained weights"
SIZE, FRACTION = integer(1, 2**24), number(0, 1)
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
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")  # constants: 0, 1, 2, ... and zeros
PARTS = ("embeddings.", "encoder.", "pooler.")
EMBEDDING = "embeddings.word_embeddings.weight"
# the masked-word head's matrix: a file of tied weights may hold the token embedding under this name alone
EMBEDDING_ALIASES = ("lm_head.decoder.weight", "cls.predictions.decoder.weight", "predictions.decoder.weight")
OLD_LEAVES = {"gamma": "weight", "beta": "bias"}  # of LayerNorm in early checkpoints


def read_hugging_face(folder: Path, name: str, pooling: str | None = None) -> EncoderSource:
    """Reads the encoder in ``folder``, which messages call ``name``, and drops the tensors of any head.

    ``pooling`` overrides the folder's own, which sentence-transformers writes. Raises UserError at the first fault: a
    missing or damaged file, a setting that this plugin cannot represent exactly, or a tensor that does not fit
    config.json.
    """
    config = read_json(folder / CONFIG_FILE, REMEDY)
    family = _family(folder / CONFIG_FILE, config)
    pooling = pooling or pooling_of(folder)
    settings, vocabulary = settings_of(folder / CONFIG_FILE, config, family)
    tensors, files = read_weights(folder)
    theirs, dropped = _encoder_tensors(tensors, family, tied=config.get("tie_word_embeddings", True) is True)
    check_weights(name, theirs)
    weights = _to_ours(name, theirs, family, shape_of(name, family, settings, vocabulary))
    if _adds_nothing(weights, family):
        del weights[SEGMENTS]
        settings["encoder_segments"] = 0
        dropped += [original for original in tensors if original.endswith("token_type_embeddings.weight")]
    return EncoderSource(name, (folder / CONFIG_FILE, *files), family, settings, weights,
                         used=[original for original in tensors if original not in dropped], dropped=dropped,
                         native_rows=True, pooling=pooling)


def _family(path: Path, config: Mapping[str, Any]) -> Family:
    known = {family.model_type: family for family in FAMILIES.values()}
    model_type = str(config.get("model_type", ""))
    if model_type not in known:
        fault = f"model_type {model_type!r:.60}" if model_type else "it names no model_type"
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
        settings[ours] = _checked(path, config, theirs, SIZE)
    for ours, theirs in FRACTIONS.items():
        settings[ours] = float(_checked(path, config, theirs, FRACTION))
    settings["activation_fn"] = ACTIVATIONS[_checked(path, config, "hidden_act", choice(*ACTIVATIONS))]
    settings["activation_dropout"] = 0.0
    settings["encoder_max_positions"] = _checked(path, config, "max_position_embeddings", SIZE) - family.first_position
    _check_sizes(path, family, settings)
    return settings, _checked(path, config, "vocab_size", SIZE)


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
    if (groups := settings["encoder_groups"] or 1) > layers:
        raise UserError(f"{path}: num_hidden_groups {groups} is more than num_hidden_layers {layers}")
    if any(int(n / (layers / groups)) != n * groups // layers for n in range(layers)):
        raise UserError(f"{path}: {layers} layers in {groups} groups: `transformers` rounds the group of a layer "
                        "otherwise than this plugin; give a model whose num_hidden_layers is a multiple of its groups")


def _checked(path: Path, config: Mapping[str, Any], theirs: str, kind: Kind) -> Any:
    value = config.get(theirs)
    if not kind.accepts(value):
        raise UserError(f"{path}: {theirs} is {value!r:.60}, and should be {kind.description}")
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


def _encoder_tensors(tensors: Mapping[str, Tensor], family: Family,
                     tied: bool) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of encoder and pooler by current names without a prefix, and the original names of all others.

    ``tied``: the matrix of a masked-word head is the token embedding, and stands for it where the file lacks it.
    """
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
    alias = next((name for name in EMBEDDING_ALIASES if name in dropped), None)
    if tied and alias and EMBEDDING not in theirs:
        theirs[EMBEDDING] = tensors[alias]
        dropped.remove(alias)
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

    Raises UserError for a file that is missing, damaged or outside of the folder.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return _read_tensors(folder / name), (folder / name,)
        index = folder / (name + INDEX)
        if index.is_file():
            files = tuple(folder / file for file in _indexed(index, Path(name).suffix))
            tensors = {}
            for file in files:
                tensors |= _read_tensors(file)
            return tensors, (index, *files)
    raise UserError(f"{folder}: has neither {' nor '.join(WEIGHT_FILES)}: give a folder of pretrained weights")


def _indexed(index: Path, suffix: str) -> list[str]:
    """The names of the files, each once. Raises UserError for one of another form, such as a path."""
    places = read_json(index, REMEDY).get("weight_map")
    if not isinstance(places, dict):
        raise UserError(f"{index}: has no weight_map: {REMEDY}")
    for file in places.values():
        if not isinstance(file, str) or Path(file).name != file or Path(file).suffix != suffix:
            raise UserError(f"{index}: {file!r:.60} is no file of weights in its folder: {REMEDY}")
    return list(dict.fromkeys(places.values()))


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        if not path.is_file():
            raise ValueError("there is no such file")
        tensors = load_file(path) if path.suffix == ".safetensors" else read_torch_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as weights: {error}: {REMEDY}") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise UserError(f"{path}: does not hold tensors by name")
    return dict(tensors)
