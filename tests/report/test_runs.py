"""Tests of reading the runs of a report, and of refusing them."""

import shutil
from functools import partial

import pytest
import torch

from fairseq_palbert.errors import UserError
from fairseq_palbert.report import tables
from fairseq_palbert.report.kept import KeptSeed, KeptSplit, read_kept, write_kept
from fairseq_palbert.report.runs import read_runs
from tests.fixtures.recorded_runs import ORIGIN, of_fractions


def test_runs_are_read_by_task_with_what_a_clock_measured(make_run):
    folders = [make_run("palbert", "SST-2", "q_exit:0.5", "fixed:4", halts=True),
               make_run("palbert", "STS-B", "fixed:2"),
               make_run("vanilla", "SST-2", "fixed:4", seeds=[3])]
    tasks = read_runs(folders, "valid")
    assert {name: [run.method for run in runs] for name, runs in tasks.items()} == {
        "SST-2": ["palbert", "vanilla"], "STS-B": ["palbert"]}
    run = tasks["SST-2"][0]
    assert [seed.name for seed in run.seeds] == ["seed1", "seed2"] and run.main_rule.spec == "q_exit:0.5"
    assert [point.row["seconds"] for point in run.points(run.full_model)] == [2, 2]
    assert tasks["SST-2"][1].main_rule is None


def test_a_rule_that_one_seed_lacks_is_no_rule_of_the_run(make_run):
    make_run("palbert", "SST-2", "fixed:2", "fixed:4", seeds=[1])
    run, = read_runs([make_run("palbert", "SST-2", "fixed:4", seeds=[2])], "valid")["SST-2"]
    assert [rule.spec for rule in run.rules] == ["fixed:4"] and len(run.seeds) == 2


def test_a_seed_without_a_record_is_named(make_run, capsys):
    folder = make_run("palbert", "SST-2", "fixed:4")
    (folder / "seed1/scores/valid/record.safetensors").unlink()
    run, = read_runs([folder], "valid")["SST-2"]
    assert [seed.name for seed in run.seeds] == ["seed2"]
    assert "seed1/scores/valid has no record.safetensors: left out" in capsys.readouterr().err


def test_a_seed_without_scores_is_named(make_run, capsys):
    folder = make_run("palbert", "SST-2", "fixed:4")
    shutil.rmtree(folder / "seed1/scores")
    run, = read_runs([folder], "valid")["SST-2"]
    assert [seed.name for seed in run.seeds] == ["seed2"]
    assert capsys.readouterr().err == f"{folder}/seed1/scores/valid is not scored yet: left out\n"


WRONG = {
    "no .*seed.* with scores.jsonl and record.safetensors": lambda run: shutil.rmtree(run / "seed1/scores"),
    "are of different models": lambda run: shutil.copy(run.parents[1] / "vanilla/SST-2/seed2/scores/valid/scores.jsonl",
                                                       run / "seed1/scores/valid/scores.jsonl"),
    "seed1/scores/valid/.*: of the split calibration: move its folder out of": lambda run: shutil.copytree(
        run / "seed1/scores/calibration", run / "seed1/scores/valid", dirs_exist_ok=True),
    "has no batch_size":
        lambda run: (run / "seed1/scores/valid/scores.jsonl").write_text('{"rule": "fixed"}\n'),
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_damaged_run_is_one_line(make_run, reason):
    make_run("vanilla", "SST-2", "fixed:3", seeds=[2])
    folder = make_run("palbert", "SST-2", "fixed:4", seeds=[1], calibrated=True)
    WRONG[reason](folder)
    with pytest.raises(UserError, match=reason):
        read_runs([folder], "valid")


CHANGED = {
    "have other examples or labels": {"ids": torch.arange(1, 61), "rows": 61},
    "the split has no labels": {"targets": None},
}


@pytest.mark.parametrize("reason", CHANGED)
def test_runs_of_other_examples_are_one_line(make_run, damage, reason):
    folders = [make_run(method, "SST-2", "fixed:4", seeds=[1]) for method in ("a", "b")]
    damage(folders[1] / "seed1/scores/valid/record.safetensors", **CHANGED[reason])
    with pytest.raises(UserError, match=reason):
        read_runs(folders, "valid")


@pytest.mark.parametrize("methods", [("a", "b"), ("a",)])
def test_both_seeds_of_other_examples_are_named_by_folder(make_run, damage, methods):
    folders = [make_run(method, "SST-2", "fixed:4") for method in methods]
    damage(folders[-1] / "seed2/scores/valid/record.safetensors", ids=torch.arange(1, 61), rows=61)
    with pytest.raises(UserError, match=f"^{folders[-1]}/seed2 and {folders[0]}/seed1 have other examples or labels"):
        read_runs(folders, "valid")


def test_the_calibration_record_is_read_beside_the_reported_one(make_run, damage):
    folder = make_run("palbert", "SST-2", "fixed:4", calibrated=True)
    run, = read_runs([folder], "valid")["SST-2"]
    assert run.calibrated and [seed.calibration.split for seed in run.seeds] == ["calibration"] * 2
    (folder / "seed2/scores/calibration/record.safetensors").unlink()
    assert not read_runs([folder], "valid")["SST-2"][0].calibrated
    damage(folder / "seed1/scores/calibration/record.safetensors",
           origin={**ORIGIN, "checkpoint": {"path": "b.pt", "sha256": "f" * 64}})
    with pytest.raises(UserError, match="seed1/scores/calibration/.*: of another checkpoint than the record of valid"):
        read_runs([folder], "valid")


def test_the_same_method_twice_is_one_line(make_run):
    folder = make_run("palbert", "SST-2", "fixed:4", seeds=[1])
    with pytest.raises(UserError, match="a second run of palbert on SST-2"):
        read_runs([folder, folder], "valid")


def test_a_kept_file_is_read_as_its_runs_are(make_run, tmp_path):
    tasks = ("SST-2", "MRPC")
    folders = [make_run("palbert", task, "q_exit:0.5", "fixed:4", halts=True, calibrated=True) for task in tasks]
    seeds = {task: read_runs([folder], "valid")[task][0].seeds for task, folder in zip(tasks, folders)}
    path = tmp_path / "palbert.safetensors"
    write_kept(path, {task: {seed.name: KeptSeed("fairseq-train $DATA", {
        one.split: KeptSplit(one, [point.row for point in seed.scored]) for one in (seed.recorded, seed.calibration)})
        for seed in of_task} for task, of_task in seeds.items()})
    found = read_runs([path], "valid")
    assert list(found) == list(tasks)
    for task, (run,) in found.items():
        assert run.method == "palbert" and run.calibrated and run.seeds[0].command == ["fairseq-train", "$DATA"]
        for seed, given in zip(run.seeds, seeds[task], strict=True):
            assert [(point.row["mean_exit"], point.row["seconds"]) for point in seed.scored] == [
                (pytest.approx(point.row["mean_exit"], abs=0.1), point.row["seconds"]) for point in given.scored]
    with pytest.raises(UserError, match="has nothing of the split 'test'"):
        read_runs([path], "test")


def test_a_kept_seed_without_the_split_is_named(make_run, keep_run, capsys):
    path = keep_run(make_run("palbert", "SST-2", "fixed:4"), earlier=False)
    kept = read_kept(path)
    kept["SST-2"]["seed2"] = KeptSeed(kept["SST-2"]["seed2"].command, {})
    write_kept(path, kept)
    assert [seed.name for seed in read_runs([path], "valid")["SST-2"][0].seeds] == ["seed1"]
    assert capsys.readouterr().err == f"{path}, SST-2, seed2 is not scored on 'valid': left out\n"


@pytest.mark.parametrize("earlier", [False, True])
def test_a_kept_regression_goes_with_the_folder_of_another_method(make_run, keep_run, earlier):
    """Its labels are fractions, which ``earlier`` files have in float32."""
    path = keep_run(make_run("palbert", "STS-B", "fixed:4", change=of_fractions), earlier)
    runs = [make_run(name, "STS-B", "fixed:4", change=partial(of_fractions, step=step))
            for name, step in (("vanilla", 0.9), ("other", 0.9 + 1e-5))]
    assert [run.method for run in read_runs([path, runs[0]], "valid")["STS-B"]] == ["palbert", "vanilla"]
    for pair in ([path, runs[1]], [runs[1], path]):
        with pytest.raises(UserError, match="have other examples or labels"):
            read_runs(pair, "valid")


@pytest.mark.parametrize("method, task, rule", [
    ("palbert", "SST-2", "q_exit:0.5"), ("palbert_wide", "STS-B", "q_exit:0.5"), ("pabee", "SST-2", "patience:2"),
    ("pabee", "STS-B", "patience:2:0.2"), ("vanilla", "SST-2", None), ("another", "SST-2", None)])
def test_a_run_scored_at_its_last_layer_alone_is_shown_with_the_usual_rule(make_task, method, task, rule):
    shown = make_task(task, {method: ["fixed:4"]}, calibrated=True)
    run = shown.runs[0]
    assert (run.main_rule and run.main_rule.spec) == rule
    assert shown.main[method].chosen == bool(rule)
    for table in (tables.front, partial(tables.areas, resamples=3), partial(tables.depth_is_earned, resamples=3),
                  partial(tables.orderings, resamples=3)):
        table([shown])
