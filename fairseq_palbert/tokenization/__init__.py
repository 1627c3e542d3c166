"""Tokenizers of all families, without fairseq."""

from .vocabulary import Vocabulary  # noqa: F401
