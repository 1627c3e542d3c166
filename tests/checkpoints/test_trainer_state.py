"""Tests of what fairseq's trainer gets from a checkpoint: checked values, or one line."""

import json
from argparse import Namespace

import pytest
import torch

from fairseq_palbert.checkpoints.formats.trainer_state import trainer_state
from fairseq_palbert.errors import UserError


def state() -> dict:
    meter = {"count": 0, "round": None, "sum": 0, "val": 0.001}
    return {
        "model": {"network.weight": torch.ones(3)}, "args": Namespace(arch="x"), "cfg": {"task": {}}, "criterion": None,
        "optimizer_history": [{"criterion_name": "A", "optimizer_name": "B", "lr_scheduler_state": {"lr": 0.001},
                               "num_updates": 7}],
        "extra_state": {"metrics": {"default": [(301, "lr", "AverageMeter", meter)]}, "best": float("nan"),
                        "train_iterator": {"version": 2, "epoch": 3, "iterations_in_epoch": 5, "shuffle": True},
                        "SentenceTask": {"patience": {"best": 0.5, "num_runs": 1}},
                        "previous_training_time": 1.5, "val_loss": None},
        "last_optimizer_state": {"state": {}, "param_groups": []},
        "task_state": {},
    }


@pytest.fixture
def saved(tmp_path):
    """saved(change) saves a sound checkpoint after change(its content), and returns the path."""

    def save(change=lambda content: None):
        content = state()
        change(content)
        torch.save(content, tmp_path / "checkpoint.pt")
        return str(tmp_path / "checkpoint.pt")

    return save


def test_what_training_goes_on_from_is_kept(saved):
    found, content = trainer_state(saved()), state()
    for part in ("optimizer_history", "last_optimizer_state"):
        assert found[part] == content[part]
    kept, saved_before = (json.dumps(part["extra_state"], sort_keys=True) for part in (found, content))
    assert kept == saved_before
    assert torch.equal(found["model"]["network.weight"], torch.ones(3))
    assert not {"args", "cfg"} & found.keys()


@pytest.mark.parametrize("change", [
    lambda state: state.pop("extra_state"), lambda state: state.update(extra_state=None, optimizer_history=[]),
    lambda state: (state.pop("optimizer_history"), state.pop("last_optimizer_state")),
    lambda state: state["optimizer_history"][0].clear(), lambda state: state["extra_state"].clear(),
])
def test_what_is_absent_has_its_value_at_a_start(saved, change):
    found = trainer_state(saved(change))
    assert found["extra_state"]["train_iterator"].keys() >= {"epoch", "iterations_in_epoch"}
    assert found["optimizer_history"][-1].keys() >= {"criterion_name", "lr_scheduler_state", "num_updates"}


METER = (301, "lr", "AverageMeter", {})


NESTED = []
for _ in range(60):
    NESTED = [NESTED, NESTED]  # takes 2^60 steps to print


@pytest.mark.parametrize("change", [
    *(lambda state, part=part: state["extra_state"].update({part: NESTED}) for part in ("best", "metrics",
                                                                                       "train_iterator")),
    *(lambda state, part=part: state.update({part: NESTED}) for part in ("extra_state", "optimizer_history")),
    lambda state: state["optimizer_history"][0].update(lr_scheduler_state=NESTED),
    lambda state: state.update(extra_state=["x"]), lambda state: state.update(optimizer_history={"x": 1}),
    lambda state: state.update(optimizer_history=[7]),
    *(lambda state, value=value: state["optimizer_history"][0].update(value) for value in (
        {"num_updates": "SEEDS[$(touch X)]"}, {"num_updates": -1}, {"num_updates": 7.0}, {"criterion_name": ["A"]},
        {"optimizer_name": 7}, {"lr_scheduler_state": [1]}, {"lr_scheduler_state": {"lr": [[]]}})),
    *(lambda state, value=value: state["extra_state"]["train_iterator"].update(value) for value in (
        {"epoch": "3"}, {"epoch": -3}, {"epoch": 2**60}, {"iterations_in_epoch": None}, {"shuffle": "no"})),
    *(lambda state, value=value: state["extra_state"].update(value) for value in (
        {"train_iterator": [3, 5]}, {"best": "0.5"}, {"best": [0.5]}, {"previous_training_time": "long"},
        {"metrics": [1]}, {"metrics": {"default": 7}}, {"metrics": {"default": [METER[:3]]}},
        {"metrics": {"default": [(*METER[:2], "MetersDict", {})]}},
        {"metrics": {"default": [(*METER[:2], "print", {})]}},
        {"metrics": {"default": [(*METER[:3], [])]}}, {"metrics": {"default": [(*METER[:1], 7, *METER[2:])]}})),
    lambda state: state["model"]["network.weight"].fill_(float("nan")),
])
def test_what_no_trainer_writes_is_refused(saved, change):
    path = saved(change)
    with pytest.raises(UserError) as error:
        trainer_state(path)
    assert str(error.value).startswith(path) and "\n" not in str(error.value)


def test_training_may_overwrite_the_file_that_it_goes_on_from(saved):
    path = saved()
    found = trainer_state(path)["model"]["network.weight"]
    with open(path, "r+b") as file:
        file.write(bytes(2000))
    assert torch.equal(found, torch.ones(3))
