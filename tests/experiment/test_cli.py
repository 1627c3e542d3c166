"""Tests of the command line of experiments."""

import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hydra.core.config_store import ConfigStore
from hydra.version import VersionBase
from omegaconf import OmegaConf

from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment import cli
from fairseq_palbert.experiment.cli import check_modes, settings_of
from fairseq_palbert.experiment.settings import Settings, check


@pytest.fixture
def started(monkeypatch, tmp_path):
    """started(words...) returns the settings of the experiments that these words start: checked, but not run."""
    settings, store, version = [], ConfigStore.instance(), VersionBase.instance()

    def run(found: Settings) -> None:
        check(found)
        settings.append(found)

    monkeypatch.setattr(store, "repo", {"hydra": store.repo["hydra"]})  # without fairseq's group of configs, task
    monkeypatch.setattr(version, "version_base", version.getbase())  # which Hydra sets for the whole process
    monkeypatch.setattr(cli, "run", run)
    monkeypatch.setattr(sys, "argv", ["palbert"])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    monkeypatch.chdir(tmp_path)

    def start(*words: str) -> list:
        cli.main(list(words))
        return settings

    return start


@pytest.mark.parametrize("word", ["max_epochs=1", "+max_epochs=1", "++max_epochs=1", "~max_epochs=1", "MAX_EPOCH=1",
                                  "max_epochs=1,2", "max_epochs.0=1"])
@pytest.mark.parametrize("modes", [[], ["--multirun"]])
def test_an_unknown_setting_is_refused(started, word, modes):
    with pytest.raises(UserError, match="^unknown setting (max_epochs|MAX_EPOCH): do you mean max_epoch. palbert"):
        started("task=RTE", word, *modes)


def test_an_unknown_setting_like_no_other_is_refused(started):
    for refused in (lambda: started("+zzz=1"), lambda: settings_of(OmegaConf.create({"task": "RTE", "zzz": 1}))):
        with pytest.raises(UserError, match="^unknown setting zzz: palbert train --help lists all settings$"):
            refused()


@pytest.mark.parametrize("nothing", ["", "''", '""'])
def test_an_empty_value_is_the_default(started, nothing):
    found, = started(*(f"{item.name}={nothing}" for item in fields(Settings) if item.name != "task"), "task=RTE")
    assert found == Settings(task="RTE")


@pytest.mark.parametrize("words", [[], ["task="], ["task=''"]])
def test_no_task_is_one_line(started, words, capfd):
    with pytest.raises(SystemExit, match="^1$"):
        started(*words)
    assert capfd.readouterr().err == "fairseq_palbert: error: task is missing: give one, as in task=RTE\n"


@pytest.mark.parametrize("words, message", [
    (["lr=interval(1,3)"], r"^lr=interval\(1,3\): list the values, as in lr=1e-5,2e-5$"),
    (["lr=glob(*)"], r"^lr=glob\(\*\): list the values"),
    (["run_dir=a (b"], "input 'a .b' .*: a value with special characters needs quotes within quotes, as \"run_dir='a"),
    (["seeds=1"], "is not a ListConfig, list or tuple.*: write a list, as seeds=\\[1\\]$"),
])
def test_values_that_hydra_cannot_take_are_one_line(started, words, message):
    with pytest.raises(UserError, match=message) as raised:
        started("task=RTE", "--multirun", *words)
    assert "\n" not in str(raised.value)


def test_words_of_hydra_and_settings_pass(started):
    found, = started("task=RTE", "++lr=1e-5", "seeds=[2]", "hydra.verbose=false", "hydra/job_logging=none")
    assert found.lr == 1e-5 and found.seeds == [2]


@pytest.mark.parametrize("argv", [["task=RTE", "-m", "--cfg", "job"], ["--multirun", "-c", "job"],
                                  ["--info", "--cfg=job"]])
def test_two_modes_of_hydra_are_refused(argv):
    with pytest.raises(UserError, match="--.* and --.* exclude each other: give one of them"):
        check_modes(argv)


@pytest.mark.parametrize("word", ["hydra/launcher=submitit_slurm", "hydra.launcher.mem_gb=4",
                                  "+hydra.launcher.nodes=2"])
def test_a_launcher_needs_a_multirun(word):
    with pytest.raises(UserError, match=r"^\+?hydra.launcher(.mem_gb|.nodes|) needs --multirun: "):
        check_modes(["task=RTE", word])


def test_slurm_s_launcher_needs_slurm(monkeypatch, tmp_path):
    words = ["task=RTE", "--multirun", "hydra/launcher=submitit_slurm"]
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="^hydra/launcher=submitit_slurm needs Slurm, and this machine has no srun: "):
        check_modes(words)
    (tmp_path / "srun").touch(0o755)
    check_modes(words)


@pytest.mark.parametrize("argv", [["task=RTE"], ["-m", "--multirun", "lr=1e-5,2e-5"], ["--cfg", "job", "-p", "a"],
                                  ["--cfg", "hydra", "hydra/launcher=submitit_local"],
                                  ["task=RTE", "--multirun", "hydra/launcher=submitit_local"]])
def test_one_mode_passes(argv):
    check_modes(argv)


@pytest.mark.parametrize("wrong, lines", [("lr=1e-5,-1,2e-5", 1), ("lr=-1,1e-5,-2,2e-5", 2)])
def test_a_mistake_in_a_job_is_one_line_and_the_others_go_on(started, capfd, wrong, lines):
    with pytest.raises(SystemExit) as ended:
        started("task=RTE", "--multirun", wrong)
    assert ended.value.code == 1
    errors = capfd.readouterr().err.splitlines()
    assert len(errors) == lines and all(line.startswith("fairseq_palbert: error: lr=-") for line in errors)
    assert [found.lr for found in started("task=RTE", "lr=3e-5")] == [1e-5, 2e-5, 3e-5]


def test_a_mistake_in_a_job_of_another_process_is_raised_here(started, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with pytest.raises(UserError, match="^lr=-1.0: choose a number above 0$"):
        started("task=RTE", "--multirun", "lr=-1,-2", "hydra/launcher=submitit_local")


def test_a_run_is_named_for_its_values(started):
    found = started("task=RTE", "--multirun", "exits=[fixed:2],[q_exit:0.5],['fixed%3A2']", "lr=1e-5,1e-4")
    names = {settings.run_name for settings in found}
    assert len(names) == 6 and not any(":" in name for name in names)
    assert "exits=['fixed%3A2']/lr=1e-05" in names and "exits=['fixed%253A2']/lr=0.0001" in names
