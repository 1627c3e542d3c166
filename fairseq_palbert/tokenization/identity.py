"""Check that a model and its data share tokenizer and dictionary."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..schema import integer, object_of, text
from .special_tokens import with_special_tokens
from .vocabulary import Vocabulary

TOKENIZER_KIND = object_of({"name": text(100), "separators": integer(1, 2), "sha256": text(64), "pipeline": text(64)},
                           absent=1)  # a vocabulary's record; older ones have no pipeline


@dataclass(frozen=True)
class Identity:
    """The ``tokenizer``'s record, the SHA-256 of the ``dictionary``'s symbols, and the number of its ``entries``.

    ``detokenized`` says whether spaces around punctuation are removed first. Each is None where it is unknown.
    """

    tokenizer: dict[str, Any] | None
    dictionary: str | None
    entries: int | None
    detokenized: bool | None


def identity_of(vocabulary: Vocabulary, size: int | None = None) -> Identity:
    """The identity of a vocabulary saved with ``size`` entries, as by ``Vocabulary.save``."""
    entries = with_special_tokens([*vocabulary.symbols, *vocabulary.fillers(size)])
    return Identity(vocabulary.record, symbols_sha256(entries), len(entries), vocabulary.detokenized)


def identity_in(state: dict[str, Any]) -> Identity:
    """The identity that the checkpoint ``state`` was trained with, from its ``model`` and ``task_state``, if present.

    ``model`` holds tensors by name.
    """
    kept = state.get("task_state") or {}
    embeddings = (tensor for name, tensor in state.get("model", {}).items() if name.endswith("embed_tokens.weight"))
    return Identity(kept.get("tokenizer"), kept.get("dictionary"), next(map(len, embeddings), None),
                    kept.get("detokenized"))


def symbols_sha256(symbols: list[str]) -> str:
    """SHA-256 of all entries of a dictionary, special ones included, one a line, in order."""
    return sha256("\n".join(symbols).encode()).hexdigest()


def check_identity(name: str, trained: Identity, folder: Path, dictionary: Path, held: Identity, remedy: str) -> None:
    """Compares ``trained``, of the model ``name``, with ``held``, in ``folder`` with the file ``dictionary``.

    Raises UserError, which ends in ``remedy``, at the first difference: tokenizer, detokenized or not, number of
    entries, symbols. What ``trained`` or ``held`` does not know is not compared.
    """
    theirs, ours = trained.tokenizer or {}, held.tokenizer or {}
    if any(theirs[name] != ours[name] for name in theirs.keys() & ours.keys()):  # older records have no pipeline
        raise UserError(f"{name} was trained on {in_words(theirs)}, but {folder} holds {in_words(ours)}: {remedy}")
    if None not in (trained.detokenized, held.detokenized) and trained.detokenized != held.detokenized:
        before, now = (f"{'' if identity.detokenized else 'not '}detokenized" for identity in (trained, held))
        raise UserError(f"{name} was trained on text that was {before}, but that of {folder} was {now}: {remedy}, "
                        "with --detokenize or without, as before")
    if trained.entries not in (None, held.entries):
        raise UserError(f"{dictionary}: makes a dictionary of {held.entries} entries, but {name} was trained with "
                        f"{trained.entries}: {remedy}")
    if trained.dictionary not in (None, held.dictionary):
        raise UserError(f"{dictionary}: has other symbols, or the same in another order, than the dictionary that "
                        f"{name} was trained with: {remedy}")


def in_words(record: dict[str, Any]) -> str:
    """A tokenizer's record for a message: wordpiece (91bc3f2a…, pipeline: 50ad3c1e…, separators: 1)"""
    pipeline = f"pipeline: {record['pipeline'][:8]}…, " if "pipeline" in record else ""
    return f"{record['name']} ({record['sha256'][:8]}…, {pipeline}separators: {record['separators']})"
