"""Open rows of tokens that fairseq binarized, checked as a whole."""

import struct
from pathlib import Path

import numpy as np
from fairseq.data.indexed_dataset import MMapIndexedDataset

from ..errors import UserError
from ..tokenization.special_tokens import END

HEADER = struct.Struct("<9sQBQ")  # magic, version, code of the tokens' type, number of rows
MAGIC, VERSION = b"MMIDIDX\x00\x00", 1
TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2", 9: "<u4", 10: "<u8"}  # of tokens, by their codes


def open_rows(prefix: Path, entries: int, remedy: str) -> MMapIndexedDataset:
    """The dataset ``prefix``.bin and ``prefix``.idx, in the format mmap, of a dictionary of so many ``entries``.

    Every row is tokens of the dictionary, special ones but <unk> left out, and one </s> at its end. Raises UserError,
    which ends in ``remedy``, for any other content.
    """
    try:
        _check(prefix.with_name(prefix.name + ".idx"), prefix.with_name(prefix.name + ".bin"), entries)
    except ValueError as error:
        raise UserError(f"{prefix}.idx, .bin: {error}; {remedy}") from error
    except OSError as error:
        raise UserError(f"{prefix}.idx, .bin: {error.strerror}; {remedy}") from error
    return MMapIndexedDataset(str(prefix))


def _check(index: Path, data: Path, entries: int) -> None:
    """Raises ValueError, whose message is a phrase, at the first fault."""
    with open(index, "rb") as file:
        magic, version, code, rows = HEADER.unpack(file.read(HEADER.size).ljust(HEADER.size))
    if (magic, version) != (MAGIC, VERSION) or code not in TYPES:
        raise ValueError("not of fairseq's format mmap")
    if not rows:
        raise ValueError("no rows")
    if index.stat().st_size != HEADER.size + rows * (4 + 8):
        raise ValueError(f"the index is cut or too long for its {rows} rows")
    kind = np.dtype(TYPES[code])
    sizes = np.fromfile(index, "<i4", rows, offset=HEADER.size)
    starts = np.fromfile(index, "<i8", rows, offset=HEADER.size + sizes.nbytes)
    ends = np.cumsum(sizes, dtype=np.int64)
    if sizes.min() < 1 or not np.array_equal(starts, (ends - sizes) * kind.itemsize):
        raise ValueError("the index is damaged: its rows do not follow each other")
    if data.stat().st_size != ends[-1] * kind.itemsize:
        raise ValueError(f"the tokens are cut or too long for an index of {ends[-1]}")
    tokens = np.fromfile(data, kind)
    if tokens.max() >= entries:
        raise ValueError(f"token {tokens.max()} is beyond the {entries} entries of the dictionary")
    if (tokens[ends - 1] != END).any() or np.count_nonzero(tokens <= END) != rows:
        raise ValueError("a row does not end in </s>, or has a special token before its end")
