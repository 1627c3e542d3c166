"""Fill in a preset's values where the user gives none."""

from argparse import Namespace
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from omegaconf import DictConfig, open_dict

BARE = "base"  # the preset of a bare palbert_FAMILY


def fill_in(cfg: Namespace | DictConfig, values: Mapping[str, Any]) -> None:
    """Fills in the settings that are None, in place.

    ``cfg``: the command line, or the model's part of a Hydra configuration or of a checkpoint.
    """
    with nullcontext() if isinstance(cfg, Namespace) else open_dict(cfg):
        for name, value in values.items():
            if getattr(cfg, name, None) is None:
                setattr(cfg, name, value)
