"""The presets of ``palbert_roberta``: what ``--arch`` sets where the user does not."""

from argparse import Namespace

from fairseq.models import ARCH_CONFIG_REGISTRY, register_model_architecture
from omegaconf import open_dict

from .palbert import PalbertModel  # noqa: F401  presets are registered after their model

BASE = {"encoder_layers": 12, "encoder_embed_dim": 768, "encoder_ffn_embed_dim": 3072, "encoder_attention_heads": 12}
LARGE = {"encoder_layers": 24, "encoder_embed_dim": 1024, "encoder_ffn_embed_dim": 4096, "encoder_attention_heads": 16}
TINY = {"encoder_layers": 6, "encoder_embed_dim": 64, "encoder_ffn_embed_dim": 256, "encoder_attention_heads": 4}


def _preset(values: dict[str, int]):
    def fill_in(cfg) -> None:
        """``cfg``: the command line's Namespace, or the model's part of a Hydra configuration or of a checkpoint."""
        if isinstance(cfg, Namespace):
            cfg.tpu = cfg.tpu and not cfg.bf16  # fairseq takes --bf16 to mean a TPU
            _set_missing(cfg, values)
        else:
            with open_dict(cfg):
                _set_missing(cfg, values)

    return fill_in


def _set_missing(cfg, values: dict[str, int]) -> None:
    for name, value in values.items():
        if getattr(cfg, name, None) is None:
            setattr(cfg, name, value)


register_model_architecture("palbert_roberta", "palbert_roberta_tiny")(_preset(TINY))
register_model_architecture("palbert_roberta", "palbert_roberta_base")(_preset(BASE))
register_model_architecture("palbert_roberta", "palbert_roberta_large")(_preset(LARGE))
ARCH_CONFIG_REGISTRY["palbert_roberta"] = _preset(BASE)  # register_model has put a function there that does nothing
