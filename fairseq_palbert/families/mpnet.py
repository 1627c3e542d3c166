"""MPNet (arXiv 2004.09297): RoBERTa's encoder with T5's relative position bias.

All layers share one bias table.
"""

from . import bert
from .base import Family

RELATIVE_BUCKETS = 32  # transformers uses this value whatever config.json says
COMMON = {"encoder_segments": 0, "encoder_norm_eps": 1e-5, "encoder_relative_buckets": RELATIVE_BUCKETS}


def preset(layers: int, hidden: int, heads: int) -> dict:
    return bert.preset(layers, hidden, heads) | COMMON


FAMILY = Family(
    name="mpnet",
    model_type="mpnet",
    architecture="MPNetModel",
    first_position=2,
    presets={"base": preset(12, 768, 12)},
    tensors={
        **{ours: theirs for ours, theirs in bert.TENSORS.items() if ours != "embed_segments"},
        "relative_bias": "encoder.relative_attention_bias",
        "layers.{layer}.qkv_proj": tuple(f"encoder.layer.{{layer}}.attention.attn.{part}" for part in "qkv"),
        "layers.{layer}.out_proj": "encoder.layer.{layer}.attention.attn.o",
        "layers.{layer}.attention_norm": "encoder.layer.{layer}.attention.LayerNorm",
    },
    defaults={"pad_token_id": 1, "relative_attention_num_buckets": RELATIVE_BUCKETS},
    fixed={"pad_token_id": 1, "relative_attention_num_buckets": RELATIVE_BUCKETS},
)
