"""BERT (arXiv 1810.04805), with BERT-Tiny (arXiv 1908.08962) and MiniLM (arXiv 2002.10957)."""

from .base import Family

EMBEDDINGS = {
    "embed_tokens": "embeddings.word_embeddings",
    "embed_positions": "embeddings.position_embeddings",
    "embed_segments": "embeddings.token_type_embeddings",
    "embedding_norm": "embeddings.LayerNorm",
}
TENSORS = {
    **EMBEDDINGS,
    "layers.{layer}.qkv_proj": tuple(f"encoder.layer.{{layer}}.attention.self.{part}"
                                     for part in ("query", "key", "value")),
    "layers.{layer}.out_proj": "encoder.layer.{layer}.attention.output.dense",
    "layers.{layer}.attention_norm": "encoder.layer.{layer}.attention.output.LayerNorm",
    "layers.{layer}.fc1": "encoder.layer.{layer}.intermediate.dense",
    "layers.{layer}.fc2": "encoder.layer.{layer}.output.dense",
    "layers.{layer}.output_norm": "encoder.layer.{layer}.output.LayerNorm",
    "pooler": "pooler.dense",
}
COMMON = {"encoder_segments": 2, "encoder_norm_eps": 1e-12, "activation_fn": "gelu", "dropout": 0.1,
          "attention_dropout": 0.1}


def preset(layers: int, hidden: int, heads: int) -> dict:
    return {"encoder_layers": layers, "encoder_embed_dim": hidden, "encoder_ffn_embed_dim": 4 * hidden,
            "encoder_attention_heads": heads, **COMMON}


FAMILY = Family(
    name="bert",
    model_type="bert",
    architecture="BertModel",
    first_position=0,
    presets={
        "base": preset(12, 768, 12),
        "large": preset(24, 1024, 16),
        "minilm_l6": preset(6, 384, 12),
        "tiny": preset(2, 128, 2),
    },
    tensors=TENSORS,
)
