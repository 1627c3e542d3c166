"""Tests of ``fairseq_palbert.files``: outputs appear whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fairseq_palbert.errors import UserError
from fairseq_palbert.files import check_replaceable, file_sha256, locked, replacing, staged, written_folder

ROOT = Path(__file__).resolve().parents[1]
KILLED = """
import os, signal, sys
from pathlib import Path
from fairseq_palbert import files

with getattr(files, sys.argv[1])(Path(sys.argv[2])):
    os.kill(os.getpid(), int(sys.argv[3]))
"""


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "RTE"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_appears_only_when_it_is_complete(target):
    with written_folder(target) as folder:
        (folder / "glue.json").write_text("{}")
        assert not target.exists()
    assert names(target) == ["glue.json"]
    assert names(target.parent) == ["RTE"]


def test_an_error_leaves_nothing(target):
    with pytest.raises(KeyboardInterrupt), written_folder(target) as folder:
        (folder / "half").write_text("")
        raise KeyboardInterrupt
    assert not target.parent.exists()


@pytest.mark.parametrize("way", [written_folder, staged])
def test_an_error_removes_the_parents_that_were_created_and_keeps_the_others(tmp_path, way):
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError), way(tmp_path / "mine" / "new" / "out"):
        raise ValueError
    assert names(tmp_path) == ["mine"] and names(tmp_path / "mine") == []
    with pytest.raises(ValueError), way(tmp_path / "mine" / "new" / "out"):
        (tmp_path / "mine" / "new" / "other").touch()
        raise ValueError
    assert names(tmp_path / "mine" / "new") == ["other"]


def test_an_error_leaves_the_old_folder_as_it_was(target):
    with written_folder(target) as folder:
        (folder / "glue.json").write_text("old")
    with pytest.raises(ValueError), written_folder(target):
        raise ValueError
    assert (target / "glue.json").read_text() == "old"


@pytest.mark.parametrize("way", ["written_folder", "replacing", "staged"])
def test_what_a_killed_run_left_goes_with_the_next_and_what_a_running_one_has_stays(target, way):
    target.parent.mkdir(parents=True)
    place = target if way == "staged" else target.parent
    command = [sys.executable, "-c", KILLED, way, str(target)]
    subprocess.run([*command, str(signal.SIGKILL)], cwd=ROOT, timeout=60)
    left, = place.glob(".*.partial")
    running = subprocess.Popen([*command, str(signal.SIGSTOP)], cwd=ROOT)
    os.waitpid(running.pid, os.WUNTRACED)
    assert not left.exists()
    stopped, = place.glob(".*.partial")
    with replacing(place / "other") as part:
        part.write_text("")
    assert stopped.exists()
    running.kill()
    running.wait(60)


def test_a_folder_is_replaced_whole(target):
    for content in ("old", "new"):
        with written_folder(target) as folder:
            (folder / content).write_text("")
    assert names(target) == ["new"]
    assert names(target.parent) == ["RTE"]


def test_two_runs_do_not_write_one_folder(target):
    with written_folder(target):
        with pytest.raises(UserError, match="being written by another run"), written_folder(target):
            pass
    assert target.is_dir()


def test_the_lock_goes_with_its_process(target):
    target.parent.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", KILLED, "locked", str(target), str(signal.SIGKILL)], cwd=ROOT, timeout=60)
    assert names(target.parent) == [".RTE.lock"]
    with locked(target):
        pass
    assert names(target.parent) == []


def test_a_file_takes_its_place_whole_with_the_usual_mode(tmp_path):
    path, usual = tmp_path / "answers.tsv", tmp_path / "answers.tsv.part"
    usual.write_text("the user's own")
    with replacing(path) as part:
        part.write_text("new")
        assert not path.exists()
    assert (path.read_text(), usual.read_text()) == ("new", "the user's own")
    assert path.stat().st_mode == usual.stat().st_mode
    with pytest.raises(ZeroDivisionError), replacing(path) as part:
        part.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "new" and names(tmp_path) == ["answers.tsv", "answers.tsv.part"]


@pytest.mark.parametrize("name", ["missing", "."])
def test_the_digest_of_what_cannot_be_read_is_one_line(tmp_path, name):
    with pytest.raises(UserError, match="cannot be read .*: give a file that can$"):
        file_sha256(tmp_path / name)


def test_files_are_staged_beside_those_that_are_there(tmp_path):
    (tmp_path / "kept").write_text("old")
    with staged(tmp_path) as folder:
        (folder / "scores").write_text("new")
        assert not (tmp_path / "scores").exists()
    assert names(tmp_path) == ["kept", "scores"]
    with pytest.raises(ZeroDivisionError), staged(tmp_path / "new") as folder:
        (folder / "half").write_text("")
        raise ZeroDivisionError
    assert names(tmp_path) == ["kept", "scores"]


def test_no_file_of_an_earlier_call_stands_beside_those_of_this_one(tmp_path):
    for name in ("scores", "record", "mine"):
        (tmp_path / name).write_text("old")
    with staged(tmp_path, sometimes=("record", "plot")) as folder:
        (folder / "scores").write_text("new")
        assert (tmp_path / "record").exists()
    assert names(tmp_path) == ["mine", "scores"]
    with staged(tmp_path, sometimes=("record", "plot")) as folder:
        (folder / "record").write_text("new")
    assert names(tmp_path) == ["mine", "record", "scores"]


@pytest.mark.parametrize("in_the_way", ["last", "record"])
def test_a_folder_in_the_place_of_a_file_leaves_all_others_as_they_are(tmp_path, in_the_way):
    (tmp_path / "first").write_text("old")
    (tmp_path / in_the_way).mkdir()
    with pytest.raises(UserError, match=f"{in_the_way}: is a folder"), staged(tmp_path, ("record",)) as folder:
        for name in ("first", "last"):
            (folder / name).write_text("new")
    assert names(tmp_path) == sorted(["first", in_the_way]) and (tmp_path / "first").read_text() == "old"


@pytest.mark.parametrize("write", [
    lambda path: path.write_bytes(bytes(9000)),
    lambda path: save_file({"zeros": torch.zeros(9000)}, path),
], ids=["bytes", "safetensors"])
@pytest.mark.parametrize("way", [written_folder, replacing, staged])
def test_a_write_error_is_one_line_and_leaves_nothing(target, full_disk, way, write):
    target.parent.mkdir()
    with (pytest.raises(UserError, match=f"{target}: cannot be written .*File too large"), full_disk(8000),
          way(target) as part):
        write(part if way is replacing else part / "model")
    assert names(target.parent) == []


@pytest.mark.parametrize("way", [written_folder, replacing, staged])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, way):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "below" / "out"
    with pytest.raises(UserError, match=f"{target}: cannot be written .Not a directory"), way(target):
        raise AssertionError("entered")


def test_only_our_own_output_is_replaced_and_only_when_asked(target):
    check_replaceable(target, overwrite=False, provenance="glue.json")
    target.mkdir(parents=True)
    with pytest.raises(UserError, match="was not made here"):
        check_replaceable(target, overwrite=True, provenance="glue.json")
    (target / "glue.json").write_text("{}")
    check_replaceable(target, overwrite=True, provenance="glue.json")
    with pytest.raises(UserError, match="exists: give --overwrite"):
        check_replaceable(target, overwrite=False, provenance="glue.json")


def test_a_file_that_cannot_be_read_is_not_said_to_be_unwritable(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "there" / "answers") as part:
        part.write_text((tmp_path / "missing").read_text())
    assert not list((tmp_path / "there").iterdir())
