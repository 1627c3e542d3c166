"""Random damage to files: bytes, lines of text, and values of JSON.

A mutation is a function of its seed.
"""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

LINES, JSON = "lines", "json"
KIND_OF = {".json": JSON, ".jsonl": JSON, ".tsv": LINES, ".txt": LINES, ".bpe": LINES, ".label": LINES,
           ".toml": LINES, ".csv": LINES}
VALUES = [None, True, False, -1, 0, 1, 2, 10**7, 2**63, 1e308, 0.5, -0.0, "", "x", "3", "\t", "é" * 200, [], {}, [[]],
          [1, 1], {"a": 1}, ["0", "0"]]
RAW_JSON = ["NaN", "Infinity", "1e999", "-1e999", '"\\ud800"', "[" * 10**5 + "]" * 10**5, "0x1", "1_0", "01", "'x'"]
ODD_LINES = [b"", b"\t\t\t", b"\xff\xfe", b"\x00", "\u2028".encode(), b"\r", b" ", b'"', b"a" * 20_000, b"0_3", b"nan",
             "٣".encode(), b"-1", b"99999999999999999999"]


def mutated(source: Path, target: Path, seed: int, only: str = "**/*") -> str:
    """Copies the folder ``source`` to ``target``, damages one file of the copy and returns a description.

    ``only`` is the pattern of the files that may be damaged, relative to the folder.
    """
    rng = random.Random(seed)
    shutil.copytree(source, target)
    files = sorted(path for path in target.glob(only) if path.is_file())
    path = rng.choice(files)
    damages: list[Callable[[Path, random.Random], str]] = [_bytes, _whole_file]
    damages += {LINES: [_line] * 4, JSON: [_json] * 6}.get(KIND_OF.get(path.suffix), [_bytes])
    return f"{path.relative_to(target)}: {rng.choice(damages)(path, rng)}"


def _whole_file(path: Path, rng: random.Random) -> str:
    how = rng.choice(["missing", "empty", "a folder", "another file"])
    path.unlink()
    if how == "empty":
        path.touch()
    elif how == "a folder":
        path.mkdir()
    elif how == "another file":
        path.write_bytes(rng.choice([b"hello\n", b"PK\x03\x04", b"{}\n", b"[]", b"\x00" * 64, b"\x89PNG\r\n"]))
    return how


def _bytes(path: Path, rng: random.Random) -> str:
    data = bytearray(path.read_bytes())
    place, length = rng.randrange(len(data) or 1), rng.choice([1, 8, 100, 4096])
    how = rng.choice(["cut", "zeros", "flip", "appended", "repeated"])
    if how == "cut":
        del data[place:]
    elif how == "zeros":
        data[place:place + length] = bytes(len(data[place:place + length]))
    elif how == "flip" and data:
        data[place] ^= 1 << rng.randrange(8)
    elif how == "appended":
        data += rng.randbytes(length)
    else:
        data[place:place] = data[place:place + length]
    path.write_bytes(data)
    return f"{how} at byte {place} of {len(data)}, length {length}"


def _line(path: Path, rng: random.Random) -> str:
    lines = path.read_bytes().split(b"\n")
    place = rng.randrange(len(lines))
    how = rng.choice(["removed", "twice", "odd", "exchanged", "field"])
    if how == "removed":
        del lines[place]
    elif how == "twice":
        lines.insert(place, lines[place])
    elif how == "odd":
        lines[place] = rng.choice(ODD_LINES)
    elif how == "exchanged":
        other = rng.randrange(len(lines))
        lines[place], lines[other] = lines[other], lines[place]
    else:
        separator = b"\t" if b"\t" in lines[place] else b" "
        fields = lines[place].split(separator)
        fields[rng.randrange(len(fields))] = rng.choice(ODD_LINES)
        lines[place] = separator.join(fields)
    path.write_bytes(b"\n".join(lines))
    return f"{how}, line {place + 1}"


def _json(path: Path, rng: random.Random) -> str:
    """Changes one value or one key of a JSON file, or of one line of a JSON Lines file."""
    lines = path.read_text().rstrip("\n").split("\n") if path.suffix == ".jsonl" else [path.read_text()]
    number = rng.randrange(len(lines))
    content = json.loads(lines[number])
    container, key = rng.choice(list(_places(content)))
    how, raw = rng.choice(["value", "value", "raw", "removed", "added", "type"]), None
    if how == "removed":
        del container[key]
    elif how == "added" and isinstance(container, dict):
        container[rng.choice(["x", "_name", "__class__", "user_dir", "format"])] = rng.choice(VALUES)
    elif how == "type":
        container[key] = [container[key]] if rng.random() < 0.5 else str(container[key])
    else:
        raw = rng.choice(RAW_JSON) if how == "raw" else None
        container[key] = "RAW" if raw else rng.choice(VALUES)
    text = json.dumps(content)
    lines[number] = text.replace('"RAW"', raw) if raw else text
    path.write_text("\n".join(lines) + "\n")
    return f"{how} at {key!r}, now {str(container)[:120]} {(raw or '')[:20]}"


def _places(content: Any):
    """Yields every (container, key or index) of the value."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items):
        yield content, key
        yield from _places(value)
