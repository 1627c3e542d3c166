"""Names of settings and tensors in checkpoints of this plugin."""

NETWORK = "network."
ENCODER = NETWORK + "encoder."

# field of EncoderShape: the setting with its value
ENCODER_FIELDS = {
    "layers": "encoder_layers",
    "hidden": "encoder_embed_dim",
    "ffn_hidden": "encoder_ffn_embed_dim",
    "heads": "encoder_attention_heads",
    "max_positions": "encoder_max_positions",
    "embedding": "encoder_embedding_dim",
    "groups": "encoder_groups",
    "inner_layers": "encoder_inner_layers",
    "segments": "encoder_segments",
    "norm_eps": "encoder_norm_eps",
    "relative_buckets": "encoder_relative_buckets",
    "activation": "activation_fn",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
}
