"""recipes/keep_results.py: the scores of a run, and its command without a path of the machine."""

import pytest
import torch

from fairseq_palbert.evaluation.recorded_split import RecordedSplit, read_record, write_record
from fairseq_palbert.exits.base import Recording
from fairseq_palbert.modules.encoder import EncoderShape
from fairseq_palbert.modules.pondering import HeadsShape
from recipes import keep_results


@pytest.fixture
def run(tmp_path):
    """A finished run of PALBERT on MRPC, of two seeds."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "invocations.jsonl").write_text('{"variables": {"METHOD": "other"}}\n{"variables": {}}\n')
    for seed in (1, 2):
        scores = tmp_path / "run" / f"seed{seed}" / "scores" / "valid"
        scores.mkdir(parents=True)
        (scores / "scores.jsonl").write_text(f'{{"seed": {seed}}}\n')
        (scores / "predictions.tsv").write_text("index\n")
        (scores.parents[1] / "command").write_text(
            f"fairseq-train {tmp_path}/run/data/MRPC --user-dir {keep_results.ROOT}/fairseq_palbert --save-dir "
            f"{tmp_path}/run/seed{seed}/checkpoints --glue-task MRPC --adam-betas \\(0.9\\,\\ 0.98\\) "
            f"--finetune-from-model {tmp_path}/encoder-1a2b/model.pt --criterion ponder_classification ")
    return tmp_path / "run"


def test_scores_and_command_of_every_seed(run, tmp_path, capsys):
    keep_results.main([str(run), "minilm", "--out", str(tmp_path / "kept")])
    folders = [tmp_path / "kept" / "minilm" / "palbert" / "MRPC" / f"seed{seed}" for seed in (1, 2)]
    assert capsys.readouterr().out.splitlines() == [str(folder) for folder in folders]
    for seed, folder in enumerate(folders, 1):
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        assert files == ["command", "scores/valid/scores.jsonl"]
        assert (folder / "scores" / "valid" / "scores.jsonl").read_text() == f'{{"seed": {seed}}}\n'
        assert (folder / "command").read_text() == (
            f"fairseq-train $RUN_DIR/data/MRPC --user-dir ./fairseq_palbert --save-dir $RUN_DIR/seed{seed}/checkpoints "
            f"--glue-task MRPC --adam-betas '(0.9, 0.98)' --finetune-from-model $PRETRAINED/model.pt "
            f"--criterion ponder_classification\n")


def test_predictions_on_demand_and_data_elsewhere(run, tmp_path):
    for path in run.glob("seed*/command"):
        path.write_text(path.read_text().replace(f"{run}/data/MRPC", "/elsewhere/MRPC"))
    (run / "invocations.jsonl").write_text('{"variables": {"METHOD": "pabee"}}\n')
    keep_results.main([str(run), "minilm", "--out", str(tmp_path / "kept"), "--predictions"])
    folder = tmp_path / "kept" / "minilm" / "pabee" / "MRPC" / "seed1"
    assert (folder / "scores" / "valid" / "predictions.tsv").is_file()
    assert (folder / "command").read_text().startswith("fairseq-train $DATA --user-dir")


def test_a_second_phase_names_the_first(run, tmp_path):
    for path in run.glob("seed*/command"):
        path.write_text("train data --glue-task MRPC --freeze-backbone --finetune-from-model "
                        "/elsewhere/vanilla/MRPC/seed1/checkpoints/checkpoint_best.pt")
    keep_results.main([str(run), "minilm", "--out", str(tmp_path / "kept")])
    kept = (tmp_path / "kept" / "minilm" / "palbert" / "MRPC" / "seed1" / "command").read_text()
    assert kept.endswith("--finetune-from-model $VANILLA_RUN/seed1/checkpoints/checkpoint_best.pt\n")


def test_a_record_is_kept_without_a_path_of_the_machine(run, tmp_path):
    path = run / "seed1" / "scores" / "valid" / "record.safetensors"
    command = ["python", "-m", "fairseq_palbert.evaluation", f"{run}/seed1/checkpoints/checkpoint_best.pt", "--data",
               "/elsewhere/MRPC", "--out", f"{run}/seed1/scores/valid"]
    origin = {"command": command, "checkpoint": {"path": command[3], "sha256": "ab"}}
    write_record(path, RecordedSplit(
        split="valid", glue_task="MRPC", labels=["0", "1"], rows=2, encoder=EncoderShape(9, 1, 2, 16, 3, 4, 8, 1),
        heads=HeadsShape(2), prior=None, origin=origin, ids=torch.arange(2), lengths=torch.ones(2), targets=torch.arange(2),
        recording=Recording(None, torch.ones(3, 2, 2))))
    keep_results.main([str(run), "minilm", "--out", str(tmp_path / "kept")])
    kept = tmp_path / "kept" / "minilm" / "palbert" / "MRPC"
    recorded = read_record(kept / "seed1" / "scores" / "valid" / "record.safetensors")
    checkpoint = "$RUN_DIR/seed1/checkpoints/checkpoint_best.pt"
    assert recorded.origin == {"checkpoint": {"path": checkpoint, "sha256": "ab"}, "command": [
        *command[:3], checkpoint, "--data", "$DATA", "--out", "$RUN_DIR/seed1/scores/valid"]}
    assert recorded.recording.logits.equal(read_record(path).recording.logits)
    assert not (kept / "seed2" / "scores" / "valid" / "record.safetensors").exists()


def test_a_seed_without_scores_is_named(run, tmp_path, capsys):
    (run / "seed2" / "scores" / "valid" / "scores.jsonl").unlink()
    keep_results.main([str(run), "minilm", "--out", str(tmp_path / "kept")])
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1 and said.err == f"{run / 'seed2'} is not scored yet: left out\n"


@pytest.mark.parametrize("change, message", [
    (lambda run: (run / "seed2" / "command").write_text("train data --glue-task RTE --criterion ponder_classification /a/b"),
     "a path of this machine, /a/b"),
    (lambda run: run.rename(run.with_name("moved")), "has no seed.*/scores"),
    (lambda run: (run / "invocations.jsonl").unlink(), "has no invocations.jsonl, which says METHOD"),
])
def test_nothing_to_keep_and_foreign_paths_are_one_line(run, tmp_path, change, message):
    change(run)
    with pytest.raises(SystemExit, match=message):
        keep_results.main([str(run), "minilm", "--out", str(tmp_path / "kept")])
    assert not (tmp_path / "kept").exists()
