"""The families of encoders, by the name in ``--arch palbert_NAME``. A new one is a file like these and a line here."""

from . import albert, bert, mpnet, roberta
from .base import Family

FAMILIES: dict[str, Family] = {module.FAMILY.name: module.FAMILY for module in (roberta, bert, albert, mpnet)}


def family_of(arch: str) -> Family:
    """``palbert_bert_minilm_l6`` -> BERT's. Raises KeyError for a name that is not of this plugin."""
    return FAMILIES[arch.split("_")[1]]
