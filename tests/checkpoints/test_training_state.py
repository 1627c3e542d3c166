"""Tests of ``training_state``: training goes on from the newest checkpoint that loads."""

import pytest
import torch

from fairseq_palbert.checkpoints import training_state
from fairseq_palbert.errors import UserError


@pytest.fixture
def save(tmp_path):
    """save(name, updates, keep) writes a checkpoint like fairseq's, or its first ``keep`` bytes; returns the path."""

    def write(name: str, updates: int, keep: int | None = None):
        path = tmp_path / name
        torch.save({"optimizer_history": [{"num_updates": updates}], "extra_state": {"best": 0.5},
                    "cfg": {"task": {"glue_task": "RTE"}}, "model": {"weight": torch.zeros(1000)}}, path)
        if keep is not None:
            path.write_bytes(path.read_bytes()[:keep])
        return path

    return write


def test_nothing_there(tmp_path):
    assert training_state.resume(tmp_path / "checkpoints") == 0


def test_last_that_loads_stays(save, tmp_path, capsys):
    save("checkpoint_best.pt", 70)
    content = save("checkpoint_last.pt", 50).read_bytes()
    assert training_state.resume(tmp_path) == 50
    assert (tmp_path / "checkpoint_last.pt").read_bytes() == content
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kept_bytes", [0, 1, 100, 2000])
def test_truncated_last_gives_way_to_the_newest_aloud(save, tmp_path, capsys, kept_bytes):
    save("checkpoint_best.pt", 30)
    save("checkpoint_1_40.pt", 40)
    save("checkpoint2.pt", 90, keep=500)
    save("checkpoint_last.pt", 50, keep=kept_bytes)
    assert training_state.resume(tmp_path) == 40
    assert training_state.read(tmp_path / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] == 40
    said = capsys.readouterr().err
    assert "checkpoint_last.pt does not load" in said and "checkpoint2.pt does not load" in said
    assert "going on from checkpoint_1_40.pt, update 40" in said
    assert (tmp_path / "checkpoint2.pt.broken").exists()


def test_all_broken_starts_again(save, tmp_path):
    save("checkpoint_last.pt", 50, keep=100)
    assert training_state.resume(tmp_path) == 0
    assert not (tmp_path / "checkpoint_last.pt").exists()


def test_best_and_config(save, capsys):
    path = save("checkpoint_best.pt", 50)
    training_state.main(["best", str(path)])
    training_state.main(["config", str(path)])
    assert capsys.readouterr().out == "0.5\ntask:\n  glue_task: RTE\n"


@pytest.mark.parametrize("name, reason", [("missing.pt", "does not exist"), ("broken.pt", "cannot be read")])
def test_a_checkpoint_that_cannot_be_read_gives_one_line(save, tmp_path, name, reason):
    save("broken.pt", 50, keep=100)
    with pytest.raises(UserError, match=reason):
        training_state.main(["best", str(tmp_path / name)])
