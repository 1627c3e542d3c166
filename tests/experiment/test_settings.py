"""What is refused, in one line, before the first stage."""

import math
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment.hyperparameters import FILE
from fairseq_palbert.experiment.settings import Settings

ROOT = Path(__file__).parents[2]
STAGED = {"method": "palbert_staged"}
REFUSED = {
    "unknown task": ({"task": "Nope"}, "unknown GLUE task 'Nope': choose from CoLA"),
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
    "no hyperparameters": ({"task": "Cues", "arch": "palbert_roberta_base", "pretrained": "none"},
                           "no hyperparameters for arch=palbert_roberta_base and task=Cues"),
    "no vocabulary": ({"arch": "palbert_bert_tiny", "vocab_dir": None}, "arch=palbert_bert_tiny needs a vocabulary"),
    "unknown method": ({"method": "static0"}, "method=static0: choose from palbert, pondernet"),
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
    "no number": ({"lr": math.nan}, "lr=nan: choose a number above 0"),
    "endless": ({"clip_norm": math.inf}, "clip_norm=inf: choose a number from 0 on"),
    "batch does not divide": ({"update_freq": 3}, "do not divide into 1 workers x update_freq=3"),
    "GPUs and CPU workers": ({"num_gpus": 1, "cpu_workers": 2}, "choose one of them"),
    "more GPUs than there are": ({"num_gpus": 2}, "num_gpus=2, but this machine shows 1: lower it"),
    "AX before MNLI": ({"task": "AX"}, "none of seed 1: train MNLI first"),
    "unknown exit rule": ({"exits": ["q_exit:0.5", "qexit"]}, "unknown exit rule 'qexit': choose from q_exit"),
    "several lines": ({"extra_train_flags": ["--prior", "normal\n--fp16"]}, "more than one line"),
}


@pytest.mark.parametrize("values, message", REFUSED.values(), ids=REFUSED)
def test_is_refused_before_any_work(experiment, stand_in, monkeypatch, values, message):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(UserError) as refused:
        experiment(**values)
    assert message in str(refused.value)
    assert not stand_in.find("preprocess.glue") and not stand_in.find("fairseq-train")


def test_every_setting_has_a_variable_of_the_recipe():
    script = (ROOT / "recipes" / "glue_task.sh").read_text()
    values, lists = (script.split(f"{name}=(")[1].split(")")[0].lower().split() for name in ("\nVALUES", "\nLISTS"))
    assert sorted(values + lists) == sorted({item.name for item in fields(Settings)} - {"run_name"})
    assert set(lists) == {item.name for item in fields(Settings) if "list" in str(item.type)}


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
