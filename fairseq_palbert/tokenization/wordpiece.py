"""WordPiece of BERT (arXiv 1810.04805) and of MPNet, from vocab.txt."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from ..errors import UserError
from ..files import read_text
from .native import Native, in_dictionary_order

NAME = "wordpiece"
UNKNOWN_PIECE = "[UNK]"
SPECIAL_TOKENS = ("[CLS]", "[PAD]", "[SEP]", UNKNOWN_PIECE, "[MASK]")
# MPNet's vocabulary holds BERT's, with BERT's special tokens, as well
MPNET_SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", UNKNOWN_PIECE, "<mask>")


def read(folder: Path, settings: dict[str, Any]) -> Native:
    """Reads ``vocab.txt`` with the ``settings`` of tokenizer_config.json.

    These are ``do_lower_case`` (default true), ``strip_accents`` (default: as ``do_lower_case``) and
    ``tokenize_chinese_chars`` (default true). Raises UserError for a file that is not UTF-8, and for a
    line that is blank or a repetition.
    """
    path = folder / "vocab.txt"
    pieces = read_text(path, "give BERT's or MPNet's own file").removesuffix("\n").split("\n")
    ids = {}
    for native_id, piece in enumerate(pieces):
        if not piece.strip() or ids.setdefault(piece.rstrip("\r"), native_id) != native_id:
            fault = f"has {piece} a second time" if piece.strip() else "is blank"
            raise UserError(f"{path} is no WordPiece vocabulary: line {native_id + 1} {fault}")
    tokenizer = Tokenizer(WordPiece(ids, unk_token=UNKNOWN_PIECE))
    tokenizer.normalizer = BertNormalizer(
        lowercase=settings.get("do_lower_case", True), strip_accents=settings.get("strip_accents"),
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
    )
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return of_tokenizer(tokenizer, str(path))


def of_tokenizer(tokenizer: Tokenizer, where: str) -> Native:
    """Takes MPNet's where <s>, <pad> and </s> have the ids 0, 1 and 2, otherwise BERT's.

    MPNet has two </s> between the sentences of a pair, BERT one. Raises UserError where pieces that it does not know
    do not become its own [UNK].
    """
    mpnet = [tokenizer.token_to_id(piece) for piece in MPNET_SPECIAL_TOKENS[:3]] == [0, 1, 2]
    native = in_dictionary_order(NAME, tokenizer, MPNET_SPECIAL_TOKENS if mpnet else SPECIAL_TOKENS, where,
                                 separators=1 + mpnet)
    unknown = tokenizer.model.unk_token
    if unknown != UNKNOWN_PIECE or unknown not in tokenizer.get_vocab(with_added_tokens=False):
        raise UserError(f"{where} is damaged: pieces it does not know become {unknown}, and should become "
                        f"{UNKNOWN_PIECE}, a piece of its model")
    return native
