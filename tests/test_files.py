import pytest

from fairseq_palbert.errors import UserError
from fairseq_palbert.files import check_replaceable, written_folder


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
    assert names(target.parent) == []


def test_an_error_leaves_the_old_folder_as_it_was(target):
    with written_folder(target) as folder:
        (folder / "glue.json").write_text("old")
    with pytest.raises(ValueError), written_folder(target):
        raise ValueError
    assert (target / "glue.json").read_text() == "old"


def test_what_a_killed_run_left_does_not_block_the_next(target):
    for name in (".RTE.part", ".RTE.old"):
        (target.parent / name / "input0").mkdir(parents=True)
        (target.parent / name / "half").write_text("")
    with written_folder(target) as folder:
        assert names(folder) == []
    assert names(target.parent) == ["RTE"]


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


def test_only_our_own_output_is_replaced_and_only_when_asked(target):
    check_replaceable(target, overwrite=False, provenance="glue.json")
    target.mkdir(parents=True)
    with pytest.raises(UserError, match="was not made here"):
        check_replaceable(target, overwrite=True, provenance="glue.json")
    (target / "glue.json").write_text("{}")
    check_replaceable(target, overwrite=True, provenance="glue.json")
    with pytest.raises(UserError, match="exists: give --overwrite"):
        check_replaceable(target, overwrite=False, provenance="glue.json")
