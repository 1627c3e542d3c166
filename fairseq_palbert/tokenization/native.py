"""A tokenizer with the order of its ids in fairseq's dictionary."""

from collections.abc import Mapping
from dataclasses import dataclass

from tokenizers import Tokenizer

from ..errors import UserError
from .special_tokens import FIRST


@dataclass(frozen=True)
class Native:
    """A ``tokenizer`` of the kind ``name``, and in ``native_ids`` the native id of each dictionary entry.

    Native ids are those of ``transformers``. ``symbols`` are the words of dict.txt: all entries but the four special
    ones and ``<mask>``. ``dictionary_text`` is the content of dict.txt where one was read. ``separators`` is the number
    of </s> between the two sentences of a pair.
    """

    name: str
    tokenizer: Tokenizer
    symbols: list[str]
    native_ids: list[int]
    separators: int
    dictionary_text: str | None = None


def in_dictionary_order(name: str, tokenizer: Tokenizer, special_tokens: tuple[str, ...], where: str,
                        separators: int = 1) -> Native:
    """Orders the pieces: ``special_tokens`` become <s>, <pad>, </s>, <unk> and <mask>, the others follow by native id.

    Raises UserError, which names the source ``where``, for a special token that the vocabulary lacks, and for ids that
    have gaps.
    """
    ids = tokenizer.get_vocab(with_added_tokens=True)
    check_dense(ids, where)
    special_ids = [tokenizer.token_to_id(piece) for piece in special_tokens]
    if None in special_ids:
        missing = special_tokens[special_ids.index(None)]
        raise UserError(f"{where} has no piece {missing}, which every {name} vocabulary here needs")
    others = [native_id for native_id in range(len(ids)) if native_id not in special_ids]
    return Native(name, tokenizer, [str(native_id) for native_id in others],
                  [*special_ids[:len(FIRST)], *others, special_ids[-1]], separators)


def check_dense(ids: Mapping[str, int], where: str) -> None:
    """Raises UserError, which names the source ``where``, unless the ids of the pieces are 0 to N − 1, each once."""
    if sorted(ids.values()) != list(range(len(ids))):
        raise UserError(f"{where} is damaged: the ids of its {len(ids)} pieces are not 0 to {len(ids) - 1}, each once")
