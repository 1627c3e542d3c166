"""Download of one file over HTTP: resumable, verified, in place only when it is complete and right."""

import os
import re
import sys
import time
from pathlib import Path
from typing import BinaryIO

import requests
from tqdm import tqdm

from fairseq_palbert.errors import UserError
from fairseq_palbert.files import file_sha256, locked, writing

TIMEOUT = (15, 60)  # seconds to connect, and between two pieces of data
ATTEMPTS = 3  # attempts in a row that may break off without bringing a byte
PAUSE = 2.0  # seconds before the next attempt
CHUNK = 1 << 14  # bytes; a break loses one of these at most


class _BrokenOff(Exception):
    """The connection ended before the last byte."""


def download(url: str, target: str | Path, size: int | None = None, sha256: str | None = None) -> Path:
    """Fetch ``url`` to the file ``target`` and return its path; a ``target`` that is there and right is left as it is.

    What has arrived is kept in ``target`` + ``.part``, from where the next call goes on. ``size`` (bytes) and
    ``sha256`` (hex) are verified where they are given; without ``size`` the server's own figure counts. Raises
    UserError where the server cannot be reached, breaks off for good, announces another size or sends other bytes.
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
        found = file_sha256(path)
        if found != sha256:
            return f"has the SHA-256 {found} instead of {sha256}"
    return None


def _fetch(url: str, file: BinaryIO, size: int | None) -> None:
    """Bring ``file`` to its full length, going on after every break as long as something still arrives."""
    failures, longest = 0, file.tell()
    while failures < ATTEMPTS:
        try:
            return _receive(url, file, size)
        except _BrokenOff:
            failures = 0 if file.tell() > longest else failures + 1
            longest = max(longest, file.tell())
            time.sleep(PAUSE)
    raise UserError(f"{url} broke off after {file.tell()} bytes {ATTEMPTS} times in a row: try again, it goes on there")


def _receive(url: str, file: BinaryIO, size: int | None) -> None:
    """One request for what is missing of ``file``."""
    with _request(url, file.tell()) as response:
        status, piece = response.status_code, response.headers.get("Content-Range", "")
        if status == 416 and _announced(response) == file.tell():
            return  # nothing is missing: the last call ended between the last byte and the renaming
        if status == 416 or status == 206 and not piece.startswith(f"bytes {file.tell()}-"):
            _empty(file)  # what is there is no beginning of this file, or the server sends another piece than asked for
            raise _BrokenOff
        if not response.ok:
            raise UserError(f"{url}: the server answered {status} {response.reason}")
        if file.tell() and status != 206:  # a server without ranges sends all of it again
            _empty(file)
        announced = _announced(response)
        if size is not None and announced not in (None, size):
            raise UserError(f"{url}: the server announces {announced} bytes instead of {size}, so this is another file")
        total = size if size is not None else announced
        if total is None:
            raise UserError(f"{url}: the server states no size, so the end could not be told from a break")
        _copy(response, file, total, url)


def _request(url: str, start: int) -> requests.Response:
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return requests.get(url, headers=headers, stream=True, timeout=TIMEOUT)
    except requests.RequestException as error:
        kept = f"; the {start} bytes that arrived are kept, and it goes on from there" if start else ""
        raise UserError(f"cannot reach {url} ({type(error).__name__}): is this machine online?{kept}") from error


def _announced(response: requests.Response) -> int | None:
    """Bytes of the whole file, after the server's own headers."""
    if response.status_code in (206, 416):
        total = re.fullmatch(r"bytes .*/(\d+)", response.headers.get("Content-Range", ""))
        return int(total[1]) if total else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()


def _copy(response: requests.Response, file: BinaryIO, total: int, url: str) -> None:
    interval = 0.5 if sys.stderr.isatty() else 30.0  # a log file gets a line now and then
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
