"""Tests of ``palbert keep``: it keeps results, without paths of the machine."""

import shutil
from dataclasses import replace

import pytest
import torch

from fairseq_palbert.analysis.recorded_split import RecordedSplit, read_record, write_record
from fairseq_palbert.analysis.records import score
from fairseq_palbert.definitions.packaged import packaged_task
from fairseq_palbert.errors import UserError
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape
from fairseq_palbert.report import compare
from fairseq_palbert.report import keep as keep_results
from fairseq_palbert.report.kept import read_kept
from tests.fixtures.recorded_runs import ORIGIN, write_scores


@pytest.fixture
def run(tmp_path):
    """Writes a finished run of PALBERT on MRPC with two seeds and two splits, and returns its folder."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "invocations.jsonl").write_text('{"variables": {"METHOD": "other"}}\n{"variables": {}}\n')
    for seed in (1, 2):
        folder = tmp_path / "run" / f"seed{seed}"
        checkpoint = f"{folder}/checkpoints/checkpoint_best.pt"
        for split in ("valid", "calibration"):
            scores = folder / "scores" / split
            write_scores(scores, {rule: [2] * 40 for rule in ("fixed:3", "entropy:0.3")}, 3)
            origin = {**ORIGIN, "command": ["python", "-m", "fairseq_palbert.evaluation", checkpoint, "--data",
                                            "/elsewhere/MRPC", "--out", str(scores)],
                      "checkpoint": {"path": checkpoint, "sha256": "ab"}}
            write_record(scores / "record.safetensors", RecordedSplit(
                split=split, task=packaged_task("MRPC"), rows=40,
                encoder=EncoderShape(9, 1, 2, 16, 3, 4, 8, 1),
                heads=HeadsShape(2, lambda_module="none"), prior=None, origin=origin, ids=torch.arange(40),
                lengths=torch.ones(40, dtype=torch.long),
                targets=torch.arange(40) % 2,
                recording=Recording(None, torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(seed)))))
        (folder / "command").write_text(
            f"fairseq-train {tmp_path}/run/data/MRPC --user-dir {keep_results.ROOT}/fairseq_palbert --save-dir "
            f"{folder}/checkpoints --glue-task MRPC --adam-betas \\(0.9\\,\\ 0.98\\) "
            f"--finetune-from-model {tmp_path}/encoder-1a2b/model.pt --criterion ponder_classification ")
    return tmp_path / "run"


def keep(run, capsys):
    keep_results.main([str(run), "minilm", "--out", str(run.parent / "kept")])
    return capsys.readouterr()


def test_all_seeds_and_splits_go_into_one_file_without_a_path_of_the_machine(run, tmp_path, capsys):
    path = tmp_path / "kept" / "minilm" / "palbert.safetensors"
    assert keep(run, capsys).out.startswith(f"{path}: MRPC, seed1, seed2, splits calibration, valid; rounding moves at "
                                            "most 0.")
    assert [file for file in (tmp_path / "kept").rglob("*") if file.is_file()] == [path]
    for name, seed in read_kept(path)["MRPC"].items():
        assert seed.command == (
            f"fairseq-train $RUN_DIR/data/MRPC --user-dir ./fairseq_palbert --save-dir $RUN_DIR/{name}/checkpoints "
            f"--glue-task MRPC --adam-betas '(0.9, 0.98)' --finetune-from-model $PRETRAINED/model.pt "
            f"--criterion ponder_classification")
        recorded = seed.splits["valid"].recorded
        checkpoint = f"$RUN_DIR/{name}/checkpoints/checkpoint_best.pt"
        assert recorded.origin == {**ORIGIN, "checkpoint": {"path": checkpoint, "sha256": "ab"}, "command": [
            "python", "-m", "fairseq_palbert.evaluation", checkpoint, "--data", "$DATA", "--out",
            f"$RUN_DIR/{name}/scores/valid"]}
        assert [clock["exit"] for clock in seed.splits["calibration"].clocks] == ["fixed:3", "entropy:0.3"]
    assert str(tmp_path).encode() not in path.read_bytes()


@pytest.mark.parametrize("name", ["../x", "a/b", "/tmp/x", ".", ""])
def test_a_name_that_is_a_path_is_refused(run, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="NAME .*: give a name of letters, digits, - and _"):
        keep_results.main([str(run), name, "--out", str(tmp_path / "kept")])
    assert sorted(tmp_path.rglob("*")) == before


def test_a_task_is_replaced_and_the_others_stay(run, tmp_path, capsys):
    keep(run, capsys)
    for path in run.glob("seed*/command"):
        path.write_text(path.read_text().replace("MRPC", "RTE"))
    with pytest.raises(UserError, match="record.safetensors: of MRPC, and the command of its run of RTE"):
        keep(run, capsys)
    for path in run.glob("seed*/scores/*/record.safetensors"):
        write_record(path, replace(read_record(path), task=packaged_task("RTE")))
    keep(run, capsys)
    (run / "seed2" / "command").unlink()
    for path in run.glob("seed2/scores/*/record.safetensors"):
        path.unlink()
    said = keep(run, capsys)
    assert said.err == f"{run / 'seed2'} is not scored yet: left out\n"
    found = read_kept(tmp_path / "kept" / "minilm" / "palbert.safetensors")
    assert {task: list(seeds) for task, seeds in found.items()} == {"MRPC": ["seed1", "seed2"], "RTE": ["seed1"]}


def test_a_comparison_reads_what_was_kept(run, tmp_path, capsys):
    keep(run, capsys)
    path = tmp_path / "kept" / "minilm" / "palbert.safetensors"
    compare.main(["fixed:3", "fixed:3", "--runs", "MRPC", str(path), str(path), "--resamples", "20"])
    line = capsys.readouterr().out.splitlines()[1].split()
    records = [read_record(run / f"seed{seed}/scores/valid/record.safetensors") for seed in (1, 2)]
    scores = [score(one, one.recording.logits[-1])["score"] for one in records]
    assert line[4:7] == [f"{100 * sum(scores) / 2:.2f}"] * 2 + ["+0.00"]
    with pytest.raises(UserError, match="no record of RTE's split valid"):
        compare.main(["fixed:3", "fixed:3", "--runs", "RTE", str(path), str(path)])


def test_a_second_phase_names_the_first(run, tmp_path, capsys):
    for path in run.glob("seed*/command"):
        path.write_text("train data --glue-task MRPC --freeze-backbone --finetune-from-model "
                        "/elsewhere/vanilla/MRPC/seed1/checkpoints/checkpoint_best.pt")
    keep(run, capsys)
    kept = read_kept(tmp_path / "kept" / "minilm" / "palbert.safetensors")["MRPC"]["seed1"].command
    assert kept.endswith("--finetune-from-model $FIRST_RUN/seed1/checkpoints/checkpoint_best.pt")


@pytest.mark.parametrize("step", ["read_kept", "write_kept"])
def test_of_two_at_once_neither_loses_the_others_task(run, tmp_path, monkeypatch, capsys, step):
    """The run becomes one of RTE, and is kept again, before the ``step`` of the first."""
    keep(run, capsys)
    usual = getattr(keep_results, step)

    def interrupted(*arguments):
        monkeypatch.setattr(keep_results, step, usual)
        for path in run.glob("seed*/command"):
            path.write_text(path.read_text().replace("MRPC", "RTE"))
        for path in run.glob("seed*/scores/*/record.safetensors"):
            write_record(path, replace(read_record(path), task=packaged_task("RTE")))
        with pytest.raises(UserError, match="palbert.safetensors is being written by another run: wait for it to end"):
            keep(run, capsys)
        return usual(*arguments)

    monkeypatch.setattr(keep_results, step, interrupted)
    keep(run, capsys)
    keep(run, capsys)
    path = tmp_path / "kept" / "minilm" / "palbert.safetensors"
    assert list(read_kept(path)) == ["MRPC", "RTE"] and list(path.parent.iterdir()) == [path]


def test_a_rounding_that_moves_examples_is_refused(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(keep_results, "MOVED", -1)
    with pytest.raises(UserError, match="rounded to half precision"):
        keep(run, capsys)
    assert not (tmp_path / "kept").exists()


def test_a_place_that_cannot_be_written_is_one_line(run, tmp_path, capsys):
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(UserError, match="cannot be written .Not a directory"):
        keep(run, capsys)


def test_a_folder_with_the_record_of_another_split_is_refused(run, capsys):
    shutil.copytree(run / "seed1/scores/valid", run / "seed1/scores/zvalid_bf16")
    with pytest.raises(UserError, match="zvalid_bf16/record.safetensors: of the split valid: move its folder out of "):
        keep(run, capsys)
    shutil.rmtree(run / "seed1/scores/valid")
    (run / "seed1/scores/zvalid_bf16").rename(run / "seed1/scores/valid")
    keep(run, capsys)
    shutil.rmtree(run / "seed1/scores/valid")
    shutil.copytree(run / "seed1/scores/calibration", run / "seed1/scores/valid")
    with pytest.raises(UserError, match="seed1/scores/valid/record.safetensors: of the split calibration: "):
        keep(run, capsys)


def test_splits_of_two_checkpoints_are_refused(run, tmp_path, damage, capsys):
    damage(run / "seed1/scores/valid/record.safetensors",
           origin={**ORIGIN, "checkpoint": {"path": f"{run}/seed1/checkpoint.pt", "sha256": "cd"},
                   "command": ["python", "--data", "/elsewhere/MRPC"]})
    with pytest.raises(UserError, match="seed1/scores/valid/.*: of another checkpoint than the record of calibration"):
        keep(run, capsys)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("change, message", [
    (lambda run: (run / "seed2" / "command").write_text("train data --glue-task RTE --criterion ponder_classification "
                                                        "/a/b"),
     "a path of this machine, /a/b"),
    (lambda run: (run / "seed2" / "command").write_text("train data --glue-task MRPC --criterion cross_entropy"),
     "run: seed2 was trained without --adam-betas, and seed1 with --adam-betas .*: give a run whose seeds"),
    (lambda run: run.rename(run.with_name("moved")), "has no seed.*/scores"),
    (lambda run: (run / "invocations.jsonl").unlink(), "invocations.jsonl: No such file or directory: it says METHOD"),
])
def test_nothing_to_keep_and_foreign_paths_are_one_line(run, tmp_path, capsys, change, message):
    change(run)
    with pytest.raises(UserError, match=message):
        keep(run, capsys)
    assert not (tmp_path / "kept").exists()
