"""Tests that the same variables give the fairseq-train commands of the former recipes in bash."""

import json
import shlex
from pathlib import Path

import pytest

from fairseq_palbert.experiment import launch
from fairseq_palbert.experiment.settings import given
from fairseq_palbert.experiment.stages import same_settings
from fairseq_palbert.experiment.variables import settings_of

CASES = json.loads(Path(__file__).with_name("commands.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_commands_are_those_of_the_recipes_in_bash(experiment, tmp_path, first_run, case):
    start = tmp_path / "start"
    start.mkdir()
    (start / "conversion.json").write_text('{"arch": "palbert_bert_minilm_l6", "flags": ["--pooling", "mean"]}')
    places = {"{run}": str(tmp_path / "run"), "{first}": str(tmp_path / "first"), "{pretrained}": str(start),
              "{package}": str(launch.PACKAGE)}
    if case["variables"].get("METHOD") in ("deebert", "fastbert"):
        first_run.rename(places["{first}"])
        first_run.mkdir()

    def in_place(text: str) -> str:
        for name, path in places.items():
            text = text.replace(name, path)
        return text

    values = settings_of({name: in_place(value) for name, value in case["variables"].items()})
    experiment(task=case["task"], stop_stage=4, **given(values))
    for folder, expected in case["commands"].items():
        command = shlex.split(Path(in_place(folder), "command").read_text())
        assert same_settings(shlex.split(in_place(expected)), command), f"{command}\n{expected}"
