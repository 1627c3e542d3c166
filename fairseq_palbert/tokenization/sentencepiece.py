"""ALBERT's SentencePiece (arXiv 1909.11942), from spiece.model, in the pieces that ``transformers`` makes of a text."""

from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import Unigram

from ..errors import UserError
from .native import Native, in_dictionary_order

NAME = "sentencepiece"
MARKS = ("[CLS]", "<pad>", "[SEP]", "<unk>", "[MASK]")


def read(folder: Path, settings: dict[str, Any]) -> Native:
    """``settings`` is the content of tokenizer_config.json: ``do_lower_case`` (by default true) and ``keep_accents``
    (by default false), both done before SentencePiece's own normalisation, as are ALBERT's quotes: `` and '' become ".

    Like ``transformers``, which differs from SentencePiece here, the model's user-defined pieces (in ALBERT's ( ) " - .
    – £ €) are cut out of the raw text, and what follows one begins a new word: concert-goers is ▁concert - ▁go ers. The
    tokenizer.json that the Hub has of ALBERT does not, and is read as it stands. Raises UserError for a damaged file
    and for another model than a unigram one.
    """
    from google.protobuf.message import DecodeError  # what serves a model has its tokenizer.json, and needs neither
    from sentencepiece.sentencepiece_model_pb2 import ModelProto

    path = folder / "spiece.model"
    model = ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise UserError(f"{path} is no SentencePiece model: {error}") from error
    kinds = [piece.type for piece in model.pieces]
    if model.trainer_spec.model_type != model.trainer_spec.UNIGRAM or ModelProto.SentencePiece.UNKNOWN not in kinds:
        raise UserError(f"{path} is no unigram model of SentencePiece, as ALBERT's is")
    unknown = kinds.index(ModelProto.SentencePiece.UNKNOWN)
    tokenizer = Tokenizer(Unigram([(piece.piece, piece.score) for piece in model.pieces], unknown))
    tokenizer.add_tokens([AddedToken(piece.piece, normalized=False) for piece in model.pieces
                          if piece.type == ModelProto.SentencePiece.USER_DEFINED])
    tokenizer.normalizer = normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.Replace("''", '"'),
        *([] if settings.get("keep_accents", False) else [normalizers.NFKD(), normalizers.StripAccents()]),
        *([normalizers.Lowercase()] if settings.get("do_lower_case", True) else []),
        *_own_normalisation(model.normalizer_spec.precompiled_charsmap),
    ])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always"),
    ])
    return of_tokenizer(tokenizer, str(path))


def _own_normalisation(characters: bytes) -> list[normalizers.Normalizer]:
    return [normalizers.Precompiled(characters)] if characters else []


def of_tokenizer(tokenizer: Tokenizer, where: str) -> Native:
    return in_dictionary_order(NAME, tokenizer, MARKS, where)
