"""Lines of a text file in any encoding, plain or in gzip."""

import codecs
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import UserError

BYTE_ORDER_MARK = "\ufeff"
LONGEST = 2**22  # characters of a line
UNPACKED, UNPACKED_RATIO = 2**26, 100  # a gzip file may unpack to so many bytes, and so many times its size more
GZIP = ".gz"
UNDECODABLE = "fairseq_palbert.undecodable"  # the error handler of codecs that marks bytes by half surrogate pairs
_WHOLE = "{} is no {} ({}): name its encoding"
_HALF_PAIR = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Line:
    """A line without its end. ``number`` counts from 1; ``problem`` says why the text is not the file's."""

    number: int
    text: str
    problem: str | None = None


def read_lines(path: Path, encoding: str = "utf-8") -> Iterator[Line]:
    """Yields the lines, which end in LF or CRLF; the first loses its byte order mark.

    Raises UserError where the file is missing or cannot be read as a whole. A line with a byte that is none of the
    encoding, or with the character NUL, has a ``problem``.
    """
    with opened(path) as file:
        try:
            text = io.TextIOWrapper(file, encoding, UNDECODABLE, newline="\n")
            for number, line in enumerate(iter(lambda: text.readline(LONGEST + 1), ""), 1):
                if len(line) > LONGEST:
                    raise UserError(f"{path}, line {number}: more than {LONGEST:,} characters: give one row a line")
                yield _line(number, line.removesuffix("\n").removesuffix("\r"), encoding)
        except UnicodeError as error:  # of the whole file, such as UTF-16 without a byte order mark
            raise UserError(_WHOLE.format(path, encoding.upper(), error)) from error


def read_whole(path: Path, encoding: str, remedy: str, largest: int) -> str:
    """The text of the file, without a byte order mark.

    Raises UserError as ``read_lines`` does, at the first bad byte, and for more than ``largest`` bytes.
    """
    with opened(path) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise UserError(f"{path}: has more than {largest:,} bytes: {remedy}")
    try:
        text = content.decode(encoding, UNDECODABLE)
    except UnicodeError as error:
        raise UserError(_WHOLE.format(path, encoding.upper(), error)) from error
    if marked := _HALF_PAIR.search(text):
        start = text.rfind("\n", 0, marked.start()) + 1
        line = _line(text.count("\n", 0, start) + 1, text[start:marked.end()], encoding)
        raise UserError(f"{path}, line {line.number}: {line.problem}: {remedy}")
    return text.removeprefix(BYTE_ORDER_MARK)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Yields the file, unpacked where its name ends in .gz.

    Raises UserError where it is missing, and where the block finds that it cannot be read or unpacks to a size that
    only a damaged or hostile file has.
    """
    try:
        with open(path, "rb") as file:
            if path.suffix.lower() != GZIP:
                yield file
                return
            most = UNPACKED + UNPACKED_RATIO * path.stat().st_size
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield io.BufferedReader(_Bounded(unpacked, most))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: put it there, or name another") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{path}: damaged, or no gzip ({error}): fetch or make it again") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


class _Bounded(io.RawIOBase):
    """The bytes of a file, of which there may be at most so many."""

    def __init__(self, file: BinaryIO, most: int):
        self.file, self.most = file, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        count = self.file.readinto(buffer)
        if self.file.tell() > self.most:
            raise gzip.BadGzipFile(f"unpacks to more than {self.most:,} bytes")
        return count


def _mark(error: UnicodeDecodeError) -> tuple[str, int]:
    """Each byte that cannot be decoded becomes the half surrogate pair U+DC00 + byte, which no text has."""
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start:error.end]), error.end


codecs.register_error(UNDECODABLE, _mark)


def _line(number: int, text: str, encoding: str) -> Line:
    if number == 1:
        text = text.removeprefix(BYTE_ORDER_MARK)
    if marked := _HALF_PAIR.search(text):
        problem = (f"byte 0x{_byte(marked):02x} at position {marked.start() + 1} of the line is no "
                   f"{encoding.upper()}")
        return Line(number, _HALF_PAIR.sub(lambda half: f"\\x{_byte(half):02x}", text), problem)
    return Line(number, text, "the line has the character NUL" if "\0" in text else None)


def _byte(marked: re.Match) -> int:
    return ord(marked[0]) & 0xFF
