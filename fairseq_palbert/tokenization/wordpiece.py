"""BERT's WordPiece (arXiv 1810.04805), and MPNet's, which has RoBERTa's marks, from vocab.txt."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from ..errors import UserError
from .native import Native, in_dictionary_order

NAME = "wordpiece"
MARKS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
MPNET_MARKS = ("<s>", "<pad>", "</s>", "[UNK]",
               "<mask>")  # its vocabulary holds BERT's as well, that one's marks included


def read(folder: Path, settings: dict[str, Any]) -> Native:
    """``settings`` is the content of tokenizer_config.json: ``do_lower_case`` (by default true), ``strip_accents`` (by
    default as lower-casing) and ``tokenize_chinese_chars`` (by default true)."""
    path = folder / "vocab.txt"
    try:
        pieces = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no WordPiece vocabulary: it is not UTF-8 ({error.reason})") from error
    ids = {piece.rstrip("\r"): native_id for native_id,
           piece in enumerate(pieces) if native_id < len(pieces) - 1 or piece}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(
        lowercase=settings.get("do_lower_case", True), strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return of_tokenizer(tokenizer, str(path))


def of_tokenizer(tokenizer: Tokenizer, where: str) -> Native:
    """MPNet's where <s>, <pad> and </s> have the ids 0, 1 and 2, with two of </s> between the sentences of a pair."""
    if [tokenizer.token_to_id(mark) for mark in MPNET_MARKS[:3]] == [0, 1, 2]:
        return in_dictionary_order(NAME, tokenizer, MPNET_MARKS, where, separators=2)
    return in_dictionary_order(NAME, tokenizer, MARKS, where)
