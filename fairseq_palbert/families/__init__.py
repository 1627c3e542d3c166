"""Encoder families by their name in ``--arch palbert_NAME``.

To add a family, write a file like these and add it here.
"""

from . import albert, bert, mpnet, roberta
from .base import Family

FAMILIES: dict[str, Family] = {module.FAMILY.name: module.FAMILY for module in (roberta, bert, albert, mpnet)}

ARCHITECTURES: dict[str, Family] = {f"palbert_{family.name}{'_' * bool(preset)}{preset}": family
                                    for family in FAMILIES.values() for preset in ("", *family.presets)}


def family_of(arch: str) -> Family:
    """``palbert_bert_minilm_l6`` -> BERT's. Raises KeyError for other names."""
    return ARCHITECTURES[arch]
