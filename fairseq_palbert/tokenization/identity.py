"""Whether two tokenizers, with their dictionaries, are the same one, and how a refusal tells them apart."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import UserError
from .special_tokens import with_special_tokens
from .vocabulary import Vocabulary


@dataclass(frozen=True)
class Identity:
    """The ``tokenizer``'s record, the SHA-256 of the ``dictionary``'s symbols, and the number of its ``entries``;
    None where it is not known."""

    tokenizer: dict[str, Any] | None
    dictionary: str | None
    entries: int | None


def identity_of(vocabulary: Vocabulary, size: int | None = None) -> Identity:
    """``size`` is the number of entries wanted, as ``Vocabulary.save`` takes it."""
    entries = with_special_tokens([*vocabulary.symbols, *vocabulary.fillers(size)])
    return Identity(vocabulary.record, symbols_sha256(entries), len(entries))


def identity_in(state: dict[str, Any]) -> Identity:
    """What the checkpoint ``state`` was trained with: its ``model`` (tensors by name) and ``task_state`` count, each
    where it is there."""
    kept = state.get("task_state") or {}
    embeddings = (tensor for name, tensor in state.get("model", {}).items() if name.endswith("embed_tokens.weight"))
    return Identity(kept.get("tokenizer"), kept.get("dictionary"), next(map(len, embeddings), None))


def symbols_sha256(symbols: list[str]) -> str:
    """SHA-256 of all entries of a dictionary, special ones included, one a line, in order."""
    return sha256("\n".join(symbols).encode()).hexdigest()


def check_identity(name: str, trained: Identity, folder: Path, dictionary: Path, held: Identity, remedy: str) -> None:
    """``trained`` is that of the model ``name``, ``held`` that in ``folder``, with the file ``dictionary``.

    Raises UserError by the first that differs where both are known: the tokenizer, the number of entries, their
    symbols.
    """
    theirs, ours = trained.tokenizer, held.tokenizer
    if theirs and ours and theirs != ours:
        raise UserError(f"{name} was trained on {in_words(theirs)}, but {folder} holds {in_words(ours)}: {remedy}")
    if trained.entries not in (None, held.entries):
        raise UserError(f"{dictionary}: makes a dictionary of {held.entries} entries, but {name} was trained with "
                        f"{trained.entries}: {remedy}")
    if trained.dictionary not in (None, held.dictionary):
        raise UserError(f"{dictionary}: has other symbols, or the same in another order, than the dictionary that "
                        f"{name} was trained with, though as many: {remedy}")


def in_words(record: dict[str, Any]) -> str:
    """A tokenizer's record for a message: wordpiece (91bc3f2a…, separators: 1)"""
    return f"{record['name']} ({record['sha256'][:8]}…, separators: {record['separators']})"
