"""Which tokenizer and dictionary a checkpoint was trained on, and the refusal of data that another one made."""

from hashlib import sha256
from typing import Any

from fairseq.data import Dictionary
from torch import Tensor

from ..errors import UserError
from .binarized import BinarizedFolder

REMEDY = "preprocess the data with the tokenizer of the checkpoint"


def tokenizer_state(folder: BinarizedFolder) -> dict[str, Any]:
    """What a checkpoint keeps of its data: the ``tokenizer`` record, None where unknown, and the ``dictionary``'s SHA-256."""
    return {"tokenizer": folder.tokenizer, "dictionary": fingerprint(folder.dictionary)}


def check_same_tokenizer(name: str, state: dict[str, Any], folder: BinarizedFolder) -> None:
    """``state`` is a checkpoint: its ``model`` (tensors by name) and its ``task_state`` count, each where it is there.

    Raises UserError by the first that differs: the tokenizer, where both are known, the number of the dictionary's
    entries, their symbols.
    """
    trained = state.get("task_state") or {}
    theirs, ours = trained.get("tokenizer"), folder.tokenizer
    if theirs and ours and theirs != ours:
        raise UserError(f"{name} was trained on {in_words(theirs)}, but {folder.folder} holds {in_words(ours)}: {REMEDY}")
    dictionary, path = folder.dictionary, folder.inputs[0] / "dict.txt"
    embedded = _embedded(state.get("model", {}))
    if embedded not in (None, len(dictionary)):
        raise UserError(f"{path}: makes a dictionary of {len(dictionary)} entries, but {name} was trained with {embedded}: "
                        f"{REMEDY}")
    if trained.get("dictionary") not in (None, fingerprint(dictionary)):
        raise UserError(f"{path}: has other symbols, or the same in another order, than the dictionary that {name} was "
                        f"trained with, though as many: {REMEDY}")


def fingerprint(dictionary: Dictionary) -> str:
    """SHA-256 of the symbols, one a line, in order."""
    return sha256("\n".join(dictionary.symbols).encode()).hexdigest()


def _embedded(weights: dict[str, Tensor]) -> int | None:
    return next((len(tensor) for name, tensor in weights.items() if name.endswith("embed_tokens.weight")), None)


def in_words(record: dict[str, Any]) -> str:
    """A tokenizer's record for a message: wordpiece (91bc3f2a…, separators: 1)"""
    return f"{record['name']} ({record['sha256'][:8]}…, separators: {record['separators']})"
