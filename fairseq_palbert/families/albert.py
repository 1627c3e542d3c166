"""ALBERT (arXiv 1909.11942): factorised embeddings, and one layer's weights at every depth.

Presets without a version are version 2; version 1 differs in activation and dropout. The settings are those of the
public checkpoints, but for tiny, which is trained from scratch.
"""

from . import bert
from .base import Family

LAYER = "encoder.albert_layer_groups.{group}.albert_layers.{inner}"
V1 = {"activation_fn": "gelu", "dropout": 0.1, "attention_dropout": 0.1}
WITHOUT_DROPOUT = {"dropout": 0.0, "attention_dropout": 0.0}
V2 = {"activation_fn": "gelu_tanh", **WITHOUT_DROPOUT}


def preset(layers: int, hidden: int, heads: int, version: dict) -> dict:
    return bert.preset(layers, hidden, heads) | {
        "encoder_embedding_dim": 128, "encoder_groups": 1, "encoder_inner_layers": 1, **version,
    }


FAMILY = Family(
    name="albert",
    model_type="albert",
    architecture="AlbertModel",
    first_position=0,
    presets={
        "base": preset(12, 768, 12, V2),
        "large": preset(24, 1024, 16, V2),
        "xlarge": preset(24, 2048, 16, V2),
        "xxlarge": preset(12, 4096, 64, V2),
        "base_v1": preset(12, 768, 12, V1),
        "large_v1": preset(24, 1024, 16, V1),
        "xlarge_v1": preset(24, 2048, 16, V1),
        "xxlarge_v1": preset(12, 4096, 64, V1 | WITHOUT_DROPOUT),
        "tiny": preset(6, 64, 4, V2) | {"encoder_embedding_dim": 64},
    },
    tensors={
        **bert.EMBEDDINGS,
        "embed_projection": "encoder.embedding_hidden_mapping_in",
        "layers.{layer}.qkv_proj": tuple(f"{LAYER}.attention.{part}" for part in ("query", "key", "value")),
        "layers.{layer}.out_proj": f"{LAYER}.attention.dense",
        "layers.{layer}.attention_norm": f"{LAYER}.attention.LayerNorm",
        "layers.{layer}.fc1": f"{LAYER}.ffn",
        "layers.{layer}.fc2": f"{LAYER}.ffn_output",
        "layers.{layer}.output_norm": f"{LAYER}.full_layer_layer_norm",
        "pooler": "pooler",
    },
    defaults={"hidden_act": "gelu_new", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
)
