"""Read stock fairseq RoBERTa checkpoints, and rename their tensors.

Two forms are read: the current one, and that of RoBERTa's public archives. The archives use torch's legacy
serialization. They call the encoder ``decoder``, its first LayerNorm ``emb_layer_norm``, and query, key and value,
concatenated, ``in_proj``.
"""

import pickle
import re
import zipfile
from argparse import Namespace
from typing import Any

import torch
from fairseq.file_io import PathManager
from torch import Tensor

_ENCODER = re.compile(r"(encoder|decoder)\.sentence_encoder\.(?P<name>.+)")
_RENAMED = {
    "layernorm_embedding": "embedding_norm",
    "emb_layer_norm": "embedding_norm",
    "self_attn_layer_norm": "attention_norm",
    "self_attn.in_proj_": "qkv_proj.",
    "self_attn.out_proj": "out_proj",
    "final_layer_norm": "output_norm",
}


def read_checkpoint(path: str) -> dict[str, Any]:
    """The whole checkpoint, with tensors mapped into memory where the format allows that.

    Raises ValueError, whose message is a phrase, for a file that is not a fairseq checkpoint.
    """
    local = PathManager.get_local_path(path)
    try:
        with torch.serialization.safe_globals([Namespace]):
            state = torch.load(local, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(local))
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, AttributeError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"cannot be read as a checkpoint: {reason[0].split('. ')[0]}") from error
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise ValueError("is not a fairseq checkpoint: it has no 'model'")
    return state


def model_settings(state: dict[str, Any]) -> dict[str, Any]:
    """The flags that the checkpoint's model was built with."""
    settings = (state.get("cfg") or {}).get("model") or state.get("args") or {}
    return vars(settings) if isinstance(settings, Namespace) else settings


def is_stock(weights: dict[str, Tensor]) -> bool:
    return any(_ENCODER.fullmatch(name) for name in weights)


def encoder_from_stock(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The encoder's tensors under the names of ``modules.encoder.Encoder``, and the names of all other weights.

    Query, key and value are concatenated, in this order. A tensor of the encoder without a counterpart here keeps its
    name, so that the check of the names refuses it.
    """
    encoder, others = {}, []
    for name, tensor in weights.items():
        match = _ENCODER.fullmatch(name)
        if match is None:
            others.append(name)
        elif match["name"] != "version":  # a format number, not a weight
            encoder[_renamed(match["name"])] = tensor
    for query in [name for name in encoder if ".self_attn.q_proj." in name]:
        parts = [query.replace(".q_proj.", f".{part}_proj.") for part in "qkv"]
        if all(part in encoder for part in parts):
            encoder[query.replace("self_attn.q_proj", "qkv_proj")] = torch.cat([encoder.pop(part) for part in parts])
    return encoder, others


def _renamed(name: str) -> str:
    for stock, ours in _RENAMED.items():
        name = name.replace(stock, ours)
    return name
