"""Tests of settings: wrong ones are refused in one line before the first stage."""

import math
import subprocess
import sys
import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml

from fairseq_palbert.definitions.content import content_of, definition_of
from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment.hyperparameters import FILE
from fairseq_palbert.experiment.settings import Settings
from fairseq_palbert.files import write_json

ROOT = Path(__file__).parents[2]
STAGED = {"method": "palbert_staged"}
OWN_TASK = """
name = "own"
sentences = ["text"]
label = "label"
labels = "from train"
metric = "accuracy"
[splits]
train = "rows.tsv"
valid = 0.1
"""
REFUSED = {
    "unknown task": ({"task": "Nope"}, "unknown task 'Nope': choose from AX"),
    "glue_dir is no folder": ({"glue_dir": "nowhere"}, "glue_dir=nowhere is no folder"),
    "glue_dir without the task": ({"task": "QNLI"}, "has no folder QNLI"),
    "vocab_dir is no folder": ({"vocab_dir": "nowhere"}, "vocab_dir=nowhere is no folder"),
    "data is no folder": ({"data": "nowhere"}, "data=nowhere is no folder"),
    "pretrained is no file": ({"pretrained": "model.pt"}, "pretrained=model.pt is no file"),
    "pretrained is no folder": ({"pretrained": "some/folder/here"}, "is no file, no folder and no Hub id"),
    "pretrained of another family": ({"pretrained": "a/bert", "arch": "palbert_roberta_base"},
                                     "arch=palbert_roberta_base does not go with a/bert, which is a palbert_bert_base"),
    "not converted yet": ({"pretrained": "a/bert", "stage": 2}, "a/bert has not been converted yet: run stage 1"),
    "unknown arch": ({"arch": "palbert_roberta_huge"}, "arch=palbert_roberta_huge: choose from palbert_roberta_base"),
    "no vocabulary": ({"arch": "palbert_bert_tiny", "vocab_dir": None}, "arch=palbert_bert_tiny needs a vocabulary"),
    "unknown method": ({"method": "static0"}, "method=static0: choose from palbert, pondernet"),
    "one layer": ({"method": "static1"}, "vanilla, static2, static3, ..., or any of them"),
    "more layers than there are": ({"method": "static99"}, "method=static99, but palbert_roberta_tiny has 6 layers"),
    "target of the gate": (STAGED | {"gate_target": "loss,error"}, "gate_target=loss,error: choose from loss, error"),
    "cost of a layer": (STAGED | {"layer_cost": [0.01, -1]}, r"layer_cost=-1.0: choose a number from 0 on"),
    "no cost of a layer": (STAGED | {"layer_cost": []}, "layer_cost is empty"),
    "rate of the gate": (STAGED | {"gate_lr": "fast"}, "Value 'fast' of type 'str' could not be converted to Float"),
    "gate on seen rows": (STAGED | {"select_on": "valid"}, "learns on rows that its first phase held out"),
    "gate on one layer": ({"method": "vanilla_staged"}, "method=vanilla_staged: choose from"),
    "second phase first": ({"method": "deebert"}, "method=deebert goes on from method=vanilla, and first_run="),
    "pondering without it": ({"method": "vanilla", "beta": 0.1},
                           "beta is a setting of pondering, and method=vanilla does not ponder: leave it out"),
    "pondering of a gate": ({"method": "pabee_staged", "lambda_lr": 0.1}, "lambda_lr is a setting of pondering"),
    "unknown select_on": ({"select_on": "test"}, "select_on=test: choose from valid, holdout"),
    "no seed": ({"seeds": []}, "name at least one seed"),
    "a seed twice": ({"seeds": [1, 2, 1]}, "none twice"),
    "no epoch": ({"max_epoch": 0}, "max_epoch=0: choose a number above 0"),
    "part of an update": ({"max_update": 1.5}, "could not be converted to Integer"),
    "no seed of numpy": ({"seeds": [2**31]}, "seeds=2147483648: choose a number from 0 to 2147483647"),
    "warm-up of negative length": ({"warmup": -1}, "warmup=-1.0: choose a number from 0 to 1"),
    "warm-up in updates": ({"warmup": 5}, "warmup=5.0: choose a number from 0 to 1"),
    "no clipping": ({"clip_norm": math.nan}, "clip_norm=nan: choose a number from 0 on"),
    "clipping below 0": ({"clip_norm": -1}, "clip_norm=-1.0: choose a number from 0 on"),
    "decay below 0": ({"weight_decay": -1}, "weight_decay=-1.0: choose a number from 0 on"),
    "certain halting": ({"prior_lambda": 1}, "prior_lambda=1.0: choose a number between 0 and 1"),
    "betas": ({"adam_betas": "(0.9, 1)"}, "adam_betas=(0.9, 1): choose two numbers from 0 up to"),
    "betas that are code": ({"adam_betas": "exec('1')"}, "adam_betas=exec('1'): choose two numbers from 0 up to"),
    "flags that are code": ({"extra_train_flags": ["--lr", "exec('1')"]},
                            "extra_train_flags=exec('1'): that is a call in Python"),
    "no room for a pair": ({"max_positions": 7}, "max_positions=7: choose a number from 8 on"),
    "stage": ({"stage": 7}, "stage=7: choose a stage from 1 to 6"),
    "no stage": ({"stage": 5, "stop_stage": 4}, "stage=5 is after stop_stage=4, so that nothing would run: lower"),
    "folder list": ({"run_dir": "at 12:30"}, "12:30: fairseq separates data folders by ':': choose a path without one"),
    "folder list of data": ({"data": "glue:"}, "glue: is no folder"),
    "bytes that are no text": ({"run_dir": "caf\udce9"}, r"run_dir='caf\udce9' has more than one line, or characters"),
    "no number": ({"lr": math.nan}, "lr=nan: choose a number above 0"),
    "endless": ({"clip_norm": math.inf}, "clip_norm=inf: choose a number from 0 on"),
    "batch does not divide": ({"update_freq": 3}, "do not divide into 1 workers x update_freq=3"),
    "GPUs and CPU workers": ({"num_gpus": 1, "cpu_workers": 2}, "choose one of them"),
    "more GPUs than there are": ({"num_gpus": 2}, "num_gpus=2, but this machine shows 1: lower it"),
    "AX before MNLI": ({"task": "AX"}, "none of seed 1: train MNLI first"),
    "halting logits of none": ({"method": "pabee", "exits": ["q_exit:0.5"]}, "exit rule q_exit:0.5: it reads halting"),
    "a layer that there is not": ({"method": "static3", "exits": ["fixed:4"]}, "exit rule fixed:4: the model has 3"),
    "classes of a regression": ({"task": "STS-B", "exits": ["entropy:0.3"]}, "it reads the probabilities of classes"),
    "learned exits of none": ({"exits": ["learned:0.2"]}, "exit rule learned:0.2: it reads learned-exit scores"),
    "unknown exit rule": ({"exits": ["q_exit:0.5", "qexit"]}, "unknown exit rule 'qexit': choose from q_exit"),
    **{f"a flag of the run directory, {words[0]}": ({"extra_train_flags": ["--dropout", "0.2", *words]}, message)
       for words, message in [
           (["--save-dir", "X"], "extra_train_flags: --save-dir is the run directory's own: set run_dir"),
           (["--save-dir=X"], "--save-dir is the run directory's own"), (["--save-d", "X"], "--save-dir is the run"),
           (["--tensorboard-logdir", "X"], "set run_dir"),
           (["--user-dir", "X"], "--user-dir is the run directory's own: leave it out"),
           (["--no-save"], "leave it out"),
           (["--task", "X"], "set task"), (["--glue-task", "CoLA"], "set task"), (["--seed", "7"], "set seeds"),
           (["--arch", "palbert_bert_tiny"], "set arch"), (["-a", "palbert_bert_tiny"], "set arch")]},
    "a flag of the first phase's run directory": (
        {"method": "palbert_staged", "first_train_flags": ["--seed", "7"]}, "first_train_flags: --seed is the run"),
    "several lines": ({"extra_train_flags": ["--prior", "normal\n--fp16"]}, "more than one line"),
}


@pytest.mark.parametrize("values, message", REFUSED.values(), ids=REFUSED)
def test_is_refused_before_any_work(experiment, stand_in, monkeypatch, values, message):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(UserError) as refused:
        experiment(**values)
    assert message in str(refused.value)
    assert not stand_in.find("preprocess.data") and not stand_in.find("fairseq-train")


@pytest.mark.parametrize("values", [
    {"exits": ["fixed:N", "learned:0.2", "patience:2"], "method": "berxit"},
    {"exits": ["q_exit:0.5", "fixed:6"], "method": "berxit_staged"},
    {"exits": ["fixed:8"], "extra_train_flags": ["--encoder-layers=8"]},
    {"exits": ["learned:0.2"], "method": "vanilla", "extra_train_flags": ["--learned-exit"]},
])
def test_exit_rules_of_the_model_that_is_trained(experiment, values):
    experiment(stop_stage=2, first_run="first", **values)


@pytest.mark.parametrize("exits, refused", [
    (["entropy:0.3", "patience:2", "q_exit:0.5"], None), (["patience:2:0.1"], "exit rule patience:2:0.1"),
])
def test_exit_rules_of_a_task_whose_labels_are_those_of_train(experiment, tmp_path, exits, refused):
    (tmp_path / "own.toml").write_text(OWN_TASK)
    (tmp_path / "rows.tsv").write_text("text\tlabel\n")
    if refused is None:
        experiment(task="own.toml", exits=exits, stop_stage=1)
        return
    with pytest.raises(UserError, match=refused):
        experiment(task="own.toml", exits=exits, stop_stage=1)


@pytest.mark.parametrize("old, new, refused", [
    ('"accuracy"', '"f1"\npositive = "a"', "metric = 'accuracy', and own.toml has metric = 'f1'"),
    ('"accuracy"', '"accuracy"\nscore = "mean"', "score = 'first', and own.toml has score = 'mean'"),
    ('["text"]', '["text", "more"]', r"sentences = \['text'\], and own.toml has sentences = \['text', 'more'\]"),
    ('"from train"', '["a", "c"]', r"labels = \['b', 'a'\], and own.toml has labels = \['a', 'c'\]"),
    ('labels = "from train"\nmetric = "accuracy"', 'score_range = [0, 5]\nmetric = "mse"', "labels = .* has no labels"),
    ('"from train"', '["a", "b"]', None), ("rows.tsv", "other.tsv", None), ("0.1", "0.2", None),
])
def test_data_of_another_task_file_of_the_same_name(experiment, tmp_path, old, new, refused):
    """The folder has the labels that were collected from train."""
    (tmp_path / "data").mkdir()
    made_by = replace(definition_of(tomllib.loads(OWN_TASK)), labels=("b", "a"))
    write_json(tmp_path / "data" / "glue.json", {"task": "own", "definition": content_of(made_by)})
    (tmp_path / "own.toml").write_text(OWN_TASK.replace(old, new))
    if refused is None:
        experiment(task="own.toml", data="data", stop_stage=2)
        return
    with pytest.raises(UserError, match=f"data=data was made by another own, with {refused}: give the folder"):
        experiment(task="own.toml", data="data", stop_stage=2)
    (tmp_path / "data" / "glue.json").write_text('{"task": "own", "definition": {"name": "own"}}')
    with pytest.raises(UserError, match="data/glue.json: sentences is missing: .*: make the data again"):
        experiment(task="own.toml", data="data", stop_stage=2)


def test_a_folder_that_the_current_one_makes_unusable(experiment, tmp_path, monkeypatch):
    for name, message in (("at 12:30", "without one"), ("caf\udce9", "bytes that are no UTF-8")):
        (tmp_path / name / "glue" / "RTE").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / name)
        with pytest.raises(UserError, match=message):
            experiment(vocab_dir=str(tmp_path))


def test_every_number_has_a_range():
    without = {item.name for item in fields(Settings) if item.metadata["allowed"] is None}
    kinds = get_type_hints(Settings)
    assert not {name for name in without if {int, float} & {kinds[name], *get_args(kinds[name])} or
                kinds[name] in (list[int], list[float], list[float] | None)}


def test_every_hyperparameter_is_a_setting():
    names = {item.name for item in fields(Settings)}
    for entry in yaml.safe_load(FILE.read_text()).values():
        assert set(entry) <= {"every_task", "tasks"}
        for row in (entry["every_task"], *entry.get("tasks", {}).values()):
            assert set(row) <= names


@pytest.mark.parametrize("words, status", [
    (["task=RTE", "--cfg", "job"], 0), (["task=RTE", "lr=-1"], 1), (["--help"], 0),
])
def test_starts_without_torch(tmp_path, words, status):
    program = ("import sys; from fairseq_palbert.command import run; from fairseq_palbert.experiment.cli import main\n"
               "try: run(main)\nfinally: assert not {'torch', 'fairseq'} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", program, *words], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert len(done.stderr.splitlines()) == status
