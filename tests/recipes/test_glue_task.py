"""recipes/glue_task.sh and glue_all.sh: what they refuse, how they resume, which flags they pass."""

import fcntl
import json
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BAD_INPUTS = {
    "no task": ([], {}, "name one GLUE task"),
    "two tasks": (["RTE", "CoLA"], {}, "name one GLUE task"),
    "unknown task": (["Nope"], {}, "unknown GLUE task 'Nope': choose from CoLA"),
    "unknown flag": (["RTE", "--stages", "2"], {}, "unknown flag --stages"),
    "stage without a number": (["RTE", "--stage", "train"], {}, "--stage needs the number of a stage, not 'train'"),
    "no environment": (["RTE"], {"VENV": "nowhere"}, "run recipes/setup.sh first"),
    "GLUE_DIR is no folder": (["RTE"], {"GLUE_DIR": "nowhere"}, "GLUE_DIR=nowhere is no folder"),
    "GLUE_DIR without the task": (["QNLI"], {}, "has no folder QNLI"),
    "VOCAB_DIR is no folder": (["RTE"], {"VOCAB_DIR": "nowhere"}, "VOCAB_DIR=nowhere is no folder"),
    "DATA is no folder": (["RTE"], {"DATA": "nowhere"}, "DATA=nowhere is no folder"),
    "PRETRAINED is no file": (["RTE"], {"PRETRAINED": "model.pt"}, "PRETRAINED=model.pt is no file"),
    "PRETRAINED is no folder": (["RTE"], {"PRETRAINED": "some/folder/here"}, "is no file, no folder and no Hub id"),
    "PRETRAINED of another family": (
        ["RTE"], {"PRETRAINED": "a/bert", "CONVERTED_ARCH": "palbert_bert_base", "ARCH": "palbert_roberta_base"},
        "ARCH=palbert_roberta_base does not go with a/bert, which is a palbert_bert_base: leave ARCH out",
    ),
    "not converted yet": (["RTE", "--stage", "2"], {"PRETRAINED": "a/bert"}, "a/bert has not been converted yet: run stage 1"),
    "unknown ARCH": (["RTE"], {"ARCH": "palbert_roberta_huge"}, "ARCH=palbert_roberta_huge has no usual checkpoint"),
    "no row": (["RTE"], {"ARCH": "roberta", "PRETRAINED": "none"}, "no row for ARCH=roberta and RTE"),
    "no vocabulary": (["RTE"], {"ARCH": "palbert_bert_tiny", "VOCAB_DIR": ""}, "ARCH=palbert_bert_tiny needs a vocabulary"),
    "unknown METHOD": (["RTE"], {"METHOD": "static0"}, "METHOD=static0: choose from palbert pondernet"),
    "target of the gate": (["RTE"], {"METHOD": "palbert_staged", "GATE_TARGET": "loss,error"}, "GATE_TARGET=loss,error: choose from"),
    "cost of a layer": (["RTE"], {"METHOD": "palbert_staged", "LAYER_COST": "0.01 -1"}, "LAYER_COST=0.01 -1 is no number from 0 on"),
    "rate of the gate": (["RTE"], {"METHOD": "palbert_staged", "GATE_LR": "fast"}, "GATE_LR=fast is no number from 0 on"),
    "gate on seen rows": (["RTE"], {"METHOD": "palbert_staged", "SELECT_ON": "valid"}, "learns on rows that its first phase held out"),
    "gate on one layer": (["RTE"], {"METHOD": "vanilla_staged"}, "METHOD=vanilla_staged: choose from"),
    "second phase first": (["RTE"], {"METHOD": "deebert"}, "METHOD=deebert goes on from METHOD=vanilla, and FIRST_RUN="),
    "pondering without it": (["RTE"], {"METHOD": "vanilla", "BETA": "0.1"}, "BETA is of pondering, and METHOD=vanilla"),
    "DETOKENIZE is no switch": (["RTE"], {"DETOKENIZE": "yes"}, "DETOKENIZE=yes: choose from 0 1"),
    "TRAIN_EXAMPLES is no number": (["RTE"], {"TRAIN_EXAMPLES": "all"}, "TRAIN_EXAMPLES=all is no whole number above 0"),
    "unknown SELECT_ON": (["RTE"], {"SELECT_ON": "test"}, "SELECT_ON=test: choose from valid holdout"),
    "no seed": (["RTE"], {"SEEDS": " "}, "SEEDS is empty"),
    "MAX_UPDATE is no number": (["RTE"], {"MAX_UPDATE": "many"}, "MAX_UPDATE=many is no whole number above 0"),
    "MAX_EPOCH is no number": (["RTE"], {"MAX_EPOCH": "0"}, "MAX_EPOCH=0 is no whole number above 0"),
    "UPDATE_FREQ is no number": (["RTE"], {"UPDATE_FREQ": "0"}, "UPDATE_FREQ=0 is no whole number above 0"),
    "CPU_WORKERS is no number": (["RTE"], {"CPU_WORKERS": "two"}, "CPU_WORKERS=two is no whole number"),
    "batch does not divide": (["RTE"], {"UPDATE_FREQ": "3"}, "do not divide into 1 workers x UPDATE_FREQ=3"),
    "more GPUs than there are": (["RTE"], {"NUM_GPUS": "2", "CUDA_VISIBLE_DEVICES": "0"}, "this machine shows 1"),
    "GPUs and CPU workers": (["RTE"], {"NUM_GPUS": "1", "CUDA_VISIBLE_DEVICES": "0", "CPU_WORKERS": "2"}, "choose one of"),
    "AX before MNLI": (["AX"], {}, "run glue_task.sh MNLI first"),
    "training fails": (["RTE"], {"TRAIN_FAILS": "out of luck"}, "training failed: out of luck (the whole log:"),
}


@pytest.mark.parametrize("arguments, variables, message", BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_bad_input_gives_one_line(run_recipe, arguments, variables, message):
    run = run_recipe("glue_task.sh", *arguments, **variables)
    errors = [line for line in run.stderr.splitlines() if "error" in line]
    assert run.returncode == 1
    assert len(errors) == 1 and errors[0].startswith("glue_task.sh: error: ") and message in errors[0], run.stderr
    assert "Traceback" not in run.stderr and "line " not in errors[0]


def test_leaves_a_whole_record(run_recipe, environment, calls):
    run = run_recipe("glue_task.sh", "RTE", SEEDS="1 2", LR="0.25")
    folder = Path(environment["RUN_DIR"])
    assert run.returncode == 0, run.stderr
    assert "q_exit:0.5  2      50.00 ± 0.00" in run.stdout
    assert len(calls("fairseq-train")) == 2
    for seed in (1, 2):
        assert (folder / f"seed{seed}" / "config.yaml").read_text().startswith("lr: 0.25\n")
        assert f"--seed {seed}" in (folder / f"seed{seed}" / "command").read_text()
        scored = calls("fairseq_palbert.evaluation")[seed - 1]
        assert f"--tensorboard-logdir {folder}/seed{seed}/tensorboard " in scored and "--device" not in scored
    record = json.loads((folder / "invocations.jsonl").read_text())
    assert record["arguments"] == ["RTE"] and record["variables"]["LR"] == "0.25" and record["packages"]["torch"]


@pytest.mark.parametrize(
    "killed_at", ["preprocess.glue", "fairseq-train", "checkpoints.py config", "fairseq_palbert.evaluation"]
)
def test_resumes_after_a_kill(run_recipe, calls, killed_at):
    stages = ["preprocess.glue", "fairseq-train", "fairseq_palbert.evaluation"]
    assert run_recipe("glue_task.sh", "RTE", KILL_AT=killed_at).returncode == -9
    again = run_recipe("glue_task.sh", "RTE")
    assert again.returncode == 0, again.stderr
    assert {stage: len(calls(stage)) for stage in stages} == {stage: 1 + (stage == killed_at) for stage in stages}
    assert run_recipe("glue_task.sh", "RTE").returncode == 0
    assert {stage: len(calls(stage)) for stage in stages} == {stage: 1 + (stage == killed_at) for stage in stages}


def test_stages_can_be_chosen(run_recipe, calls):
    assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "2").returncode == 0
    assert calls("preprocess.glue") and not calls("fairseq-train")
    assert run_recipe("glue_task.sh", "RTE", "--stage", "4", "--stop-stage", "4").returncode == 0
    assert calls("fairseq-train") and not calls("fairseq_palbert.evaluation")


def test_search_waits_for_its_stage(run_recipe, calls):
    assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "2", SEARCH_LR="0.1 0.2").returncode == 0
    assert not calls("fairseq-train")


def test_other_settings_need_another_run_directory(run_recipe, calls):
    assert run_recipe("glue_task.sh", "RTE").returncode == 0
    refused = run_recipe("glue_task.sh", "RTE", LR="0.5")
    assert refused.returncode == 1 and "was begun with other settings" in refused.stderr
    assert len(calls("fairseq-train")) == 1


def test_other_exit_rules_are_scored_again(run_recipe, calls):
    for exits in ("q_exit:0.5", "q_exit:0.5 fixed:3"):
        assert run_recipe("glue_task.sh", "RTE", EXITS=exits).returncode == 0
    assert [call.count("--exit") for call in calls("fairseq_palbert.evaluation")] == [1, 2]
    assert len(calls("fairseq-train")) == 1


def test_search_takes_the_best(run_recipe, calls, environment):
    """The stand-in's score is the learning rate."""
    run = run_recipe("glue_task.sh", "RTE", SEARCH_LR="0.1 0.3 0.2", SEARCH_BETA="0.01 0.5", SELECT_ON="holdout", SEEDS="7 8")
    assert run.returncode == 0, run.stderr
    assert "score 0.3 on holdout with LR=0.3" in run.stderr
    trained = calls("fairseq-train")
    assert len(trained) == 6 + 2
    assert all("--lr 0.3 " in call and "--beta 0.01 " in call for call in trained[6:])
    assert all("--seed 7 " in call for call in trained[:6])
    assert len((Path(environment["RUN_DIR"]) / "search" / "results.tsv").read_text().splitlines()) == 7


def test_mnli_selects_on_matched_and_scores_both(run_recipe, calls):
    assert run_recipe("glue_task.sh", "MNLI").returncode == 0
    assert "--valid-subset valid,valid1 " in calls("fairseq-train")[0]
    assert [call.split("--split ")[1].split()[0] for call in calls("fairseq_palbert.evaluation")] == ["valid", "valid1"]


@pytest.mark.parametrize("task, splits", [("RTE", ["valid", "calibration"]), ("MNLI", ["valid", "valid1", "calibration"])])
def test_a_held_out_part_is_scored_beside_the_dev_splits(run_recipe, calls, environment, task, splits):
    assert run_recipe("glue_task.sh", task, SELECT_ON="holdout").returncode == 0
    scored = calls("fairseq_palbert.evaluation")
    assert [call.split("--split ")[1].split()[0] for call in scored] == splits
    rules = [[word for word in call.split() if ":" in word or word == "--record"] for call in scored]
    assert all(words == rules[0] and "--record" in words for words in rules)
    assert (Path(environment["RUN_DIR"]) / "stages" / "score-seed1-calibration.done").exists()


def test_epochs_set_the_length_of_training(run_recipe, calls):
    """100 examples, 20 of them held out: 80 / 16 = 5 updates an epoch."""
    assert run_recipe("glue_task.sh", "RTE", MAX_EPOCH="3", BATCH="16", SELECT_ON="holdout", HOLDOUT_FRACTION="0.2",
                      WARMUP="0.2").returncode == 0
    assert "--total-num-update 15 --warmup-updates 3 --max-update 15 --max-epoch 3 " in calls("fairseq-train")[0]


def test_workers_share_the_batch(run_recipe, calls):
    assert run_recipe("glue_task.sh", "RTE", CPU_WORKERS="2", UPDATE_FREQ="4", BATCH="32").returncode == 0
    trained = sorted(calls("fairseq-train"))
    assert len(trained) == 2 and all("--batch-size 4 --update-freq 4" in call for call in trained)
    assert [call.split("--distributed-rank ")[1].split()[0] for call in trained] == ["0", "1"]


def test_gpus_share_the_batch(run_recipe, calls):
    run_recipe("glue_task.sh", "RTE", NUM_GPUS="2", CUDA_VISIBLE_DEVICES="3,5,7", BATCH="32", UPDATE_FREQ="2")
    trained, = calls("fairseq-train")
    assert "--batch-size 8 --update-freq 2" in trained and "--cpu" not in trained
    assert trained.endswith(" CUDA_VISIBLE_DEVICES=3,5")
    scored, = calls("fairseq_palbert.evaluation")
    assert "--device cuda" in scored


def lock_is_free(run_dir: str) -> bool:
    """Whether the recipe and all it started have ended."""
    with open(Path(run_dir) / ".lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_sigterm_ends_training_too(environment, calls):
    recipe = subprocess.Popen([ROOT / "recipes" / "glue_task.sh", "RTE"], env=environment | {"RANK_DIES": "none"},
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not calls("fairseq-train"):
        assert recipe.poll() is None
        time.sleep(0.05)
    recipe.terminate()
    assert recipe.wait(30) == 143
    assert lock_is_free(environment["RUN_DIR"])


def test_a_dead_worker_ends_the_others(run_recipe, environment):
    """The first worker would sleep for 55 seconds."""
    start = time.monotonic()
    run = run_recipe("glue_task.sh", "RTE", CPU_WORKERS="2", RANK_DIES="1")
    assert run.returncode == 1 and "training failed: rank 1 is lost" in run.stderr
    assert time.monotonic() - start < 30
    assert lock_is_free(environment["RUN_DIR"])


def test_training_that_is_killed_gives_one_line(environment, run_recipe):
    trainer = Path(environment["VENV"]) / "bin" / "fairseq-train"
    trainer.write_text("#!/usr/bin/env bash\nkill -9 $$\n")
    run = run_recipe("glue_task.sh", "RTE")
    assert run.returncode == 1 and "error: training was ended by signal 9 (its log: " in run.stderr


def test_a_run_directory_in_use_is_refused(run_recipe, environment):
    Path(environment["RUN_DIR"]).mkdir()
    with open(Path(environment["RUN_DIR"]) / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = run_recipe("glue_task.sh", "RTE")
    assert run.returncode == 1 and "another process is at work in" in run.stderr


def test_all_goes_on_after_a_failure(run_recipe, environment):
    run = run_recipe("glue_all.sh", "RTE", "QNLI", "MNLI", "AX")
    assert run.returncode == 1
    assert run.stderr.rstrip().endswith("glue_all.sh: error: failed: QNLI (see above)")
    table = (Path(environment["RUN_DIR"]) / "results.tsv").read_text().splitlines()
    rows = [line.split("\t")[1:3] for line in table[1:]]
    assert rows == [["RTE", "valid"], ["MNLI", "valid"], ["MNLI", "valid1"], ["AX", "test"]]
