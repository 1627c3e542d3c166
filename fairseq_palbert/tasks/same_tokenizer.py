"""Refuse data that was made with another tokenizer than the checkpoint's."""

from typing import Any

from fairseq.data import Dictionary

from ..tokenization.identity import Identity, check_identity, identity_in, symbols_sha256
from .binarized import BinarizedFolder

REMEDY = "preprocess the data with the tokenizer of the checkpoint"


def tokenizer_state(folder: BinarizedFolder) -> dict[str, Any]:
    """What a checkpoint keeps: the ``tokenizer``'s record, None where unknown, and the ``dictionary``'s SHA-256."""
    return {"tokenizer": folder.tokenizer, "dictionary": fingerprint(folder.dictionary)}


def check_same_tokenizer(name: str, state: dict[str, Any], folder: BinarizedFolder) -> None:
    """Compares the checkpoint ``state``, which messages call ``name``, with the data in ``folder``.

    Raises UserError as ``check_identity`` does.
    """
    held = Identity(folder.tokenizer, fingerprint(folder.dictionary), len(folder.dictionary))
    check_identity(name, identity_in(state), folder.folder, folder.inputs[0] / "dict.txt", held, REMEDY)


def fingerprint(dictionary: Dictionary) -> str:
    return symbols_sha256(dictionary.symbols)
