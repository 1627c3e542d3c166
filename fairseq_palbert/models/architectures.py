"""Register the presets, ``--arch palbert_FAMILY_PRESET``; ``families`` holds their values."""

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from fairseq.models import register_model_architecture

from ..compat.fairseq_registries import set_preset, undo_tpu
from ..families import FAMILIES
from . import palbert  # noqa: F401  presets are registered after their models
from .presets import BARE, fill_in


def _preset(values: Mapping[str, Any]):
    def preset(cfg) -> None:
        if isinstance(cfg, Namespace):
            undo_tpu(cfg)
        fill_in(cfg, values)

    return preset


for family in FAMILIES.values():
    model = f"palbert_{family.name}"
    for preset, values in family.presets.items():
        register_model_architecture(model, f"{model}_{preset}")(_preset(values))
    set_preset(model, _preset(family.presets[BARE]))
