"""A tokenizer in the ids of its own vocabulary, and the order in which a dictionary of fairseq takes them."""

from dataclasses import dataclass

from tokenizers import Tokenizer

from ..errors import UserError
from .special_tokens import FIRST


@dataclass(frozen=True)
class Native:
    """``name`` of the kind, the ``tokenizer``, and of each dictionary entry the native id, in ``native_ids``.

    Native ids are those of ``transformers``. ``symbols`` are the words of dict.txt: all entries but the four special
    ones and ``<mask>``. ``dictionary_text`` is that file's content where it was given. ``separators`` is the number of
    </s> between the two sentences of a pair.
    """

    name: str
    tokenizer: Tokenizer
    symbols: list[str]
    native_ids: list[int]
    separators: int
    dictionary_text: str | None = None


def in_dictionary_order(name: str, tokenizer: Tokenizer, marks: tuple[str, ...], where: str,
                        separators: int = 1) -> Native:
    """``marks`` are the pieces that become <s>, <pad>, </s>, <unk> and <mask>; the others follow by native id.

    Raises UserError for a mark that the vocabulary lacks.
    """
    of_marks = [tokenizer.token_to_id(mark) for mark in marks]
    if None in of_marks:
        raise UserError(f"{where} has no piece {marks[of_marks.index(None)]}, which every {name} vocabulary here needs")
    size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    others = [native_id for native_id in range(size) if native_id not in of_marks]
    return Native(name, tokenizer, [str(native_id) for native_id in others],
                  [*of_marks[:len(FIRST)], *others, of_marks[-1]], separators)
