"""ALBERT's SentencePiece (arXiv 1909.11942) from spiece.model, tokenizing as SentencePiece does."""

import math
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from ..errors import UserError
from ..files import read_bytes
from .library_errors import refused
from .native import Native, in_dictionary_order

NAME = "sentencepiece"
SPECIAL_TOKENS = ("[CLS]", "<pad>", "[SEP]", "<unk>", "[MASK]")
USER_DEFINED_BONUS = 0.1  # SentencePiece's, for each byte but the first, whatever the file has


def read(folder: Path, settings: dict[str, Any]) -> Native:
    """Reads ``spiece.model`` with the ``settings`` of tokenizer_config.json.

    These are ``do_lower_case`` (default true) and ``keep_accents`` (default false). Both, and ALBERT's quotes (`` and
    '' become "), apply before SentencePiece's own normalisation.

    The model's user-defined pieces (ALBERT's are ( ) " - . – £ €) win over others by their score: concert-goers is
    ▁concert - go ers. ALBERT was trained so. ``transformers`` 5 cuts them out of the raw text, and what follows one
    begins a new word: ▁concert - ▁go ers.

    Raises UserError for a damaged file and for a model that is not a unigram model.
    """
    from google.protobuf.message import DecodeError  # imported here: serving needs neither
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    path = folder / "spiece.model"
    model = ModelProto()
    try:
        model.ParseFromString(read_bytes(path, "give ALBERT's own file"))
    except DecodeError as error:
        raise UserError(f"{path} is no SentencePiece model: {error}") from error
    kinds = [piece.type for piece in model.pieces]
    if model.trainer_spec.model_type != model.trainer_spec.UNIGRAM or ModelProto.SentencePiece.UNKNOWN not in kinds:
        raise UserError(f"{path} is no unigram model of SentencePiece, as ALBERT's is")
    if not model.HasField("normalizer_spec"):  # it follows the pieces
        raise UserError(f"{path} is cut: it ends before its normaliser")
    unknown = kinds.index(ModelProto.SentencePiece.UNKNOWN)
    user_defined = [kind == ModelProto.SentencePiece.USER_DEFINED for kind in kinds]
    if not all(own or -math.inf < piece.score <= 0 for own, piece in zip(user_defined, model.pieces)):
        raise UserError(f"{path} is damaged: a score of a piece is no log probability")
    scores = [USER_DEFINED_BONUS * (len(piece.piece.encode()) - 1) if own else piece.score
              for own, piece in zip(user_defined, model.pieces)]
    with refused(f"{path} is damaged"):
        tokenizer = Tokenizer(Unigram([(piece.piece, score) for piece, score in zip(model.pieces, scores)], unknown))
        own_normalisation = _own_normalisation(model.normalizer_spec.precompiled_charsmap)
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.Replace("''", '"'),
        *([] if settings.get("keep_accents", False) else [normalizers.NFKD(), normalizers.StripAccents()]),
        *([normalizers.Lowercase()] if settings.get("do_lower_case", True) else []),
        *own_normalisation,
    ])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
    ])
    return of_tokenizer(tokenizer, str(path))


def _own_normalisation(characters: bytes) -> list[normalizers.Normalizer]:
    return [normalizers.Precompiled(characters)] if characters else []


def of_tokenizer(tokenizer: Tokenizer, where: str) -> Native:
    return in_dictionary_order(NAME, tokenizer, SPECIAL_TOKENS, where)
