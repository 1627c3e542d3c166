"""The record of binarized data, glue.json, with the digests of its files."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..binarized_files import PROVENANCE_FILE
from ..definitions.definition import TaskDefinition
from ..definitions.packaged import restored
from ..errors import UserError
from ..files import check_regular, file_sha256, write_json
from ..json_files import read_json
from ..schema import BOOLEAN, OBJECT, check_fields, text
from ..tokenization.identity import TOKENIZER_KIND

REMEDY = "make the data again with palbert data --overwrite"
KINDS = {"task": text(100), "tokenizer": TOKENIZER_KIND, "detokenized": BOOLEAN}
DEFINITION = "definition"  # of a task that is none of the package
FILES, SHA256 = "files", "sha256"  # sizes and digests of the files, and the digest of all other fields
DIGESTS = {FILES: OBJECT, SHA256: text(64)}


@dataclass(frozen=True)
class Provenance:
    """What the data in ``folder`` was made of.

    ``task`` is the definition. ``tokenizer`` is the record of the vocabulary. ``detokenized`` says whether spaces
    around punctuation were removed first. ``files`` has the size and the SHA-256 of each file by its path, None in data
    of earlier versions.
    """

    folder: Path
    task: TaskDefinition
    tokenizer: dict[str, Any]
    detokenized: bool
    files: dict[str, dict[str, Any]] | None

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads glue.json. Raises UserError where it is damaged."""
        path = folder / PROVENANCE_FILE
        content = read_json(path, REMEDY)
        try:
            check_fields({name: content.get(name) for name in KINDS}, KINDS)
            if content.keys() & DIGESTS.keys():  # earlier versions recorded none
                check_fields({name: content.get(name) for name in DIGESTS}, DIGESTS)
                if content.pop(SHA256) != _digest(content):
                    raise ValueError("changed since it was written")
            task = restored(content["task"], content.get(DEFINITION))
        except ValueError as error:
            raise UserError(f"{path}: {error}; {REMEDY}") from error
        return cls(folder, task, content["tokenizer"], content["detokenized"], content.get(FILES))

    def check(self, path: Path) -> None:
        """Raises UserError where the file is not the one that was written."""
        check_regular(path, REMEDY)
        if self.files is not None and self.files.get(path.relative_to(self.folder).as_posix()) != _described(path):
            raise UserError(f"{path}: changed since it was written, by its size or SHA-256 in {PROVENANCE_FILE}; "
                            f"{REMEDY}")


def write_provenance(folder: Path, content: dict[str, Any]) -> None:
    """Writes glue.json of the files in ``folder``: the fields of ``KINDS`` and others, sizes and digests."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / PROVENANCE_FILE)
    content = content | {FILES: {path.relative_to(folder).as_posix(): _described(path) for path in files}}
    write_json(folder / PROVENANCE_FILE, content | {SHA256: _digest(content)})


def _described(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, SHA256: file_sha256(path)}


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
