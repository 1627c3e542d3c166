"""The presets: what ``--arch palbert_FAMILY_PRESET`` sets where the user does not. The values stand in ``families``."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from fairseq.models import ARCH_CONFIG_REGISTRY, register_model_architecture
from omegaconf import open_dict

from ..families import FAMILIES
from . import palbert  # noqa: F401  presets are registered after their models

BARE = "base"  # the preset that a bare palbert_FAMILY stands for


def _preset(values: Mapping[str, Any]):
    def fill_in(cfg) -> None:
        """``cfg``: the command line's Namespace, or the model's part of a Hydra configuration or of a checkpoint."""
        if isinstance(cfg, Namespace):
            cfg.tpu = cfg.tpu and not cfg.bf16  # fairseq takes --bf16 to mean a TPU
            _set_missing(cfg, values)
        else:
            with open_dict(cfg):
                _set_missing(cfg, values)

    return fill_in


def _set_missing(cfg, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if getattr(cfg, name, None) is None:
            setattr(cfg, name, value)


for family in FAMILIES.values():
    model = f"palbert_{family.name}"
    for preset, values in family.presets.items():
        register_model_architecture(model, f"{model}_{preset}")(_preset(values))
    ARCH_CONFIG_REGISTRY[model] = _preset(family.presets[BARE])  # register_model has put a function there that does nothing
