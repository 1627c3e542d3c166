"""Refuse data that was made with another tokenizer than the checkpoint's."""

from typing import Any

from ..tokenization.identity import Identity, check_identity, identity_in, symbols_sha256
from .binarized import BinarizedFolder

REMEDY = "preprocess the data with the tokenizer of the checkpoint"


def tokenizer_state(folder: BinarizedFolder) -> dict[str, Any]:
    """What a checkpoint keeps: the ``tokenizer``'s record, ``detokenized`` or not, and the ``dictionary``'s SHA-256.

    The first two are None where they are unknown.
    """
    held = _identity(folder)
    return {"tokenizer": held.tokenizer, "detokenized": held.detokenized, "dictionary": held.dictionary}


def check_same_tokenizer(name: str, state: dict[str, Any], folder: BinarizedFolder) -> None:
    """Compares the checkpoint ``state``, which messages call ``name``, with the data in ``folder``.

    Raises UserError as ``check_identity`` does.
    """
    check_identity(name, identity_in(state), folder.folder, folder.inputs[0] / "dict.txt", _identity(folder), REMEDY)


def _identity(folder: BinarizedFolder) -> Identity:
    made_of, symbols = folder.provenance, folder.dictionary.symbols
    return Identity(made_of and made_of.tokenizer, symbols_sha256(symbols), len(symbols),
                    made_of and made_of.detokenized)
