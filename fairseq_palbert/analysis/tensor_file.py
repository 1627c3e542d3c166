"""Files of tensors and their description, with a digest of both."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import UserError
from ..files import check_regular
from ..tensor_files import save_tensors

LARGEST = 2**30  # bytes of a file
DIGEST = "sha256"


def write_tensors(path: Path, metadata: dict[str, str], tensors: dict[str, Tensor]) -> None:
    """Writes a file of safetensors. ``metadata`` has the file's ``format``; the digest is a tensor of its own."""
    digest = torch.frombuffer(bytearray(_digest(metadata, tensors)), dtype=torch.uint8)
    save_tensors({**tensors, DIGEST: digest}, path, metadata)


def read_tensors(path: Path, form: str, remedy: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors.

    Raises UserError, which ends in ``remedy``, for a file that is missing, too large, damaged, or of another format
    than ``form``. Files of earlier versions have no digest, and damage to their numbers is not noticed.
    """
    check_regular(path, remedy)
    if path.stat().st_size > LARGEST:
        raise UserError(f"{path}: has more than {LARGEST:,} bytes; {remedy}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != form:
                raise UserError(f"{path}: not of this version of fairseq_palbert (it is not of the format {form!r}); "
                                f"{remedy}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; {remedy}") from error
    except SafetensorError as error:
        raise UserError(f"{path}: truncated, or no safetensors ({error}); {remedy}") from error
    digest = tensors.pop(DIGEST, None)
    if digest is not None and digest.tolist() != list(_digest(metadata, tensors)):
        raise UserError(f"{path}: damaged, or changed after it was written; {remedy}")
    return metadata, tensors


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> bytes:
    """The SHA-256 of all names, types, sizes and values."""
    sha256 = hashlib.sha256(repr(sorted(metadata.items())).encode())
    for name, tensor in sorted(tensors.items()):
        sha256.update(repr((name, tensor.dtype, tuple(tensor.shape))).encode())
        sha256.update(tensor.flatten().view(torch.uint8).numpy())
    return sha256.digest()
