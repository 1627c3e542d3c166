"""Rename the tensors of stock fairseq RoBERTa checkpoints.

Two forms are read: the current one, and that of RoBERTa's public archives. The archives use torch's legacy
serialization. They call the encoder ``decoder``, its first LayerNorm ``emb_layer_norm``, and query, key and value,
concatenated, ``in_proj``.
"""

import re

import torch
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
