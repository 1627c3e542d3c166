"""Tests of binarized data that was damaged: it is refused in one line.

Our folders have digests, so that any change is found.
"""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.tasks.binarized import BinarizedFolder

from ..fixtures.mutations import mutated

SIZES = {"train": 9, "valid": 5, "test": 3}
RECORD = {"name": "wordpiece", "separators": 1, "sha256": "91bc" * 16}
HEADER = 26  # bytes of an index before the sizes of its rows


@pytest.fixture(scope="module")
def folders(make_toy_data, tmp_path_factory):
    """Returns the data folders of three tasks by (task, origin): ours with digests, fairseq's without."""
    base = tmp_path_factory.mktemp("data")
    return {(name, origin): make_toy_data(base / name / origin, name, SIZES, tokenizer=tokenizer)
            for name in ("SST-2", "MRPC", "STS-B") for origin, tokenizer in (("ours", RECORD), ("fairseqs", None))}


def loaded(folder, name):
    """Returns all that a run reads of the folder, as plain values."""
    task = packaged_task(name)
    data = BinarizedFolder(folder, task.name)
    splits = [data.load(split) for split in SIZES]
    return ([[row.tolist() for sentences in split.sentences for row in sentences] for split in splits],
            [None if split.targets is None else split.targets.tolist() for split in splits], data.separators)


def rewritten(ending: str, change):
    """Returns a function that applies ``change`` to the bytes of input0/valid.``ending``."""
    def damage(folder):
        path = folder / "input0" / f"valid.{ending}"
        path.write_bytes(change(path.read_bytes()))
    return damage


def element(kind: str, start: int, value: int):
    """Returns a function that writes ``value`` as a number of type ``kind`` at byte ``start``."""
    def change(content: bytes) -> bytes:
        number = np.array(value, kind).tobytes()
        return content[:start] + number + content[start + len(number):]
    return change


def exchanged_labels(folder):
    path = folder / "label" / "dict.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))


DAMAGE = {
    "tokens cut": (rewritten("bin", lambda content: content[:-2]), "tokens are cut or too long"),
    "tokens emptied": (rewritten("bin", lambda content: b""), "tokens are cut or too long"),
    "bytes after the tokens": (rewritten("bin", lambda content: content + b"\0\0"), "tokens are cut or too long"),
    "tokens of zeros": (rewritten("bin", lambda content: bytes(len(content))), "does not end in </s>"),
    "token beyond the dictionary": (rewritten("bin", element("u2", 0, 60000)), "token 60000 is beyond the 55 entries"),
    "</s> within a row": (rewritten("bin", lambda content: content[-2:] + content[2:]), "has a special token before"),
    "index emptied": (rewritten("idx", lambda content: b""), "not of fairseq's format mmap"),
    "index cut in its header": (rewritten("idx", lambda content: content[:20]), "the index is cut"),
    "index cut": (rewritten("idx", lambda content: content[:-1]), "the index is cut or too long for its 5 rows"),
    "bytes after the index": (rewritten("idx", lambda content: content + b"\0"), "the index is cut or too long"),
    "wrong magic": (rewritten("idx", lambda content: b"TNTIDX\0\0\0" + content[9:]), "not of fairseq's format mmap"),
    "another version": (rewritten("idx", element("u8", 9, 2)), "not of fairseq's format mmap"),
    "tokens of no integer type": (rewritten("idx", element("u1", 17, 6)), "not of fairseq's format mmap"),
    "tokens of an unknown type": (rewritten("idx", element("u1", 17, 99)), "not of fairseq's format mmap"),
    "no rows": (rewritten("idx", element("u8", 18, 0)), "no rows"),
    "very many rows": (rewritten("idx", element("u8", 18, 2**64 - 1)), "the index is cut"),
    "negative size": (rewritten("idx", element("i4", HEADER, -1)), "rows do not follow each other"),
    "huge size": (rewritten("idx", element("i4", HEADER, 2**31 - 1)), "rows do not follow each other"),
    "start elsewhere": (rewritten("idx", element("i8", HEADER + 5 * 4, 2)), "rows do not follow each other"),
    "exchanged labels": (exchanged_labels, "counts other labels"),
}


@pytest.mark.parametrize("origin", ["ours", "fairseqs"])
@pytest.mark.parametrize("damage, words", DAMAGE.values(), ids=DAMAGE)
def test_damage_is_one_line(folders, tmp_path, damage, words, origin):
    folder = shutil.copytree(folders["SST-2", origin], tmp_path / "data")
    damage(folder)
    with pytest.raises(UserError) as refused:
        loaded(folder, "SST-2")
    assert ("changed since it was written" if origin == "ours" else words) in str(refused.value)


def test_inputs_of_different_dictionaries_are_refused(folders, tmp_path):
    folder = shutil.copytree(folders["MRPC", "fairseqs"], tmp_path / "data")
    lines = (folder / "input1" / "dict.txt").read_text().splitlines(keepends=True)
    (folder / "input1" / "dict.txt").write_text("".join(reversed(lines)))
    with pytest.raises(UserError, match="input0 and input1 have different dictionaries"):
        loaded(folder, "MRPC")


@given(st.data())
def test_any_change_of_a_file_is_refused_or_changes_nothing(folders, tmp_path_factory, data):
    """fairseq's data has no digests: a change to another token of the dictionary is not noticed."""
    name, origin = data.draw(st.sampled_from(sorted(folders)))
    folder = shutil.copytree(folders[name, origin], tmp_path_factory.mktemp("mutated") / "data")
    path = data.draw(st.sampled_from(sorted(path for path in folder.rglob("*") if path.is_file())))
    path.write_bytes(data.draw(mutated(path.read_bytes())))
    try:
        read = loaded(folder, name)
    except UserError:
        return
    assert origin == "fairseqs" or read == loaded(folders[name, origin], name)
