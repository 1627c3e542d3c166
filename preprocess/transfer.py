"""Download one file over HTTP, resumable and verified."""

import os
import sys
import time
from pathlib import Path
from typing import BinaryIO

import requests
from tqdm import tqdm

from fairseq_palbert.errors import UserError
from fairseq_palbert.files import file_sha256, locked, writing
from fairseq_palbert.numbers_from_text import integer

TIMEOUT = (15, 60)  # seconds to connect, and between two pieces of data
ATTEMPTS = 3  # consecutive attempts that may break off without a new byte
PAUSE = 2.0  # seconds before the next attempt
CHUNK = 1 << 14  # bytes; an interruption loses one chunk at most


class _BrokenOff(Exception):
    """The connection ended before the last byte."""


def download(url: str, target: str | Path, size: int | None = None, sha256: str | None = None) -> Path:
    """Downloads ``url`` to the file ``target`` and returns its path; an existing, correct ``target`` is kept.

    Bytes received are kept in ``target`` + ``.part``, where the next call resumes. ``size`` (bytes) and ``sha256``
    (hex) are verified if given; without ``size`` the server's announced size is used. Raises UserError where the server
    cannot be reached, breaks off repeatedly, announces another size or sends other bytes, and where an existing
    ``target`` differs.
    """
    target = Path(target)
    with writing(target):
        if target.exists():
            if problem := _mismatch(target, size, sha256):
                raise UserError(f"{target} {problem}: remove it, and it is downloaded again from {url}")
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            _fetch_to(url, target, size, sha256)
    return target


def _fetch_to(url: str, target: Path, size: int | None, sha256: str | None) -> None:
    part = target.with_name(target.name + ".part")
    with open(part, "ab") as file:
        try:
            _fetch(url, file, size)
        except UserError:
            if not file.tell():
                part.unlink()
            raise
    if problem := _mismatch(part, size, sha256):
        part.unlink()
        raise UserError(f"{url}: what was sent {problem} and was removed: try again, or put the file at {target}")
    os.replace(part, target)


def _mismatch(path: Path, size: int | None, sha256: str | None) -> str | None:
    if size is not None and path.stat().st_size != size:
        return f"has {path.stat().st_size} bytes instead of {size}"
    if sha256 is not None:
        actual = file_sha256(path)
        if actual != sha256:
            return f"has the SHA-256 {actual} instead of {sha256}"
    return None


def _fetch(url: str, file: BinaryIO, size: int | None) -> None:
    """Receives the rest of ``file``; retries after an interruption until ATTEMPTS in a row bring nothing."""
    failures, longest = 0, file.tell()
    while failures < ATTEMPTS:
        try:
            return _receive(url, file, size)
        except _BrokenOff:
            failures = 0 if file.tell() > longest else failures + 1
            longest = max(longest, file.tell())
            time.sleep(PAUSE)
    raise UserError(f"{url} broke off after {file.tell()} bytes {ATTEMPTS} times in a row: try again, it resumes there")


def _receive(url: str, file: BinaryIO, size: int | None) -> None:
    """Makes one request for the missing part of ``file``."""
    with _request(url, file.tell()) as response:
        status, piece = response.status_code, response.headers.get("Content-Range", "")
        if status == 416 and _announced(response) == file.tell():
            return  # the file is complete: the last call ended before the rename
        if status == 416 or status == 206 and not piece.startswith(f"bytes {file.tell()}-"):
            _empty(file)  # the bytes received are of another file, or the server sends another range than requested
            raise _BrokenOff
        if not response.ok:
            raise UserError(f"{url}: the server answered {status} {response.reason}")
        if file.tell() and status != 206:  # a server without ranges sends the whole file again
            _empty(file)
        announced = _announced(response)
        if size is not None and announced not in (None, size):
            raise UserError(f"{url}: the server announces {announced} bytes instead of {size}, so this is another file")
        total = size if size is not None else announced
        if total is None:
            raise UserError(f"{url}: the server states no size, so an interruption could not be told from the end")
        _copy(response, file, total, url)


def _request(url: str, start: int) -> requests.Response:
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        kept = f"; the {start} bytes that arrived are kept, and it resumes there" if start else ""
        raise UserError(f"cannot reach {url} ({type(error).__name__}): is this machine online?{kept}") from error


def _announced(response: requests.Response) -> int | None:
    """The size of the whole file in bytes, from the response's headers; None where they do not state it."""
    name = "Content-Range" if response.status_code in (206, 416) else "Content-Length"
    try:
        return integer(response.headers.get(name, "").rpartition("/")[2], 0)  # bytes 5-9/10, or 10
    except ValueError:
        return None


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _copy(response: requests.Response, file: BinaryIO, total: int, url: str) -> None:
    interval = 0.5 if sys.stderr.isatty() else 30.0  # seconds; fewer lines in a log file
    with tqdm(total=total, initial=file.tell(), unit="B", unit_scale=True, mininterval=interval,
              desc=url.rsplit("/", 1)[-1]) as progress:
        try:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                progress.update(len(chunk))
                if file.tell() > total:
                    _empty(file)
                    raise UserError(f"{url}: the server sends more than {total} bytes, so this is another file")
        except requests.RequestException as error:
            raise _BrokenOff from error
    if file.tell() < total:
        raise _BrokenOff
