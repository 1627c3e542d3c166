"""Tests of glue_task.sh, glue_all.sh and superglue_all.sh: settings, resuming, child processes."""

import fcntl
import json
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BAD_INPUTS = {
    "no task": ([], {}, "name one task"),
    "two tasks": (["RTE", "CoLA"], {}, "name one task"),
    "unknown flag": (["RTE", "--stages", "2"], {}, "unknown flag --stages"),
    "stage without a number": (["RTE", "--stage", "train"], {}, "--stage needs the number of a stage, not 'train'"),
    "no environment": (["RTE"], {"VENV": "nowhere"}, "run recipes/setup.sh first"),
    "a task that is code": (["RTE,CoLA ${oc.env:HOME} $(touch made)"], {},
                            "unknown task 'RTE,CoLA ${oc.env:HOME} $(touch made)'"),
    "a setting that is code": (["RTE"], {"LR": "1e-5; touch made"}, "LR: '1e-5; touch made' is no number"),
    "of several lines": (["RTE"], {"METHOD": "palbert\npabee"}, "method='palbert\\npabee' has more than one line"),
    "list of other words": (["RTE"], {"SEEDS": "1 two"}, "SEEDS: 'two' is no whole number"),
    "DETOKENIZE is no switch": (["RTE"], {"DETOKENIZE": "perhaps"}, "DETOKENIZE: 'perhaps' is no switch"),
    "WARMUP that awk would run": (["RTE"], {"WARMUP": 'system("touch made")'}, "is no number"),
    "folders that are code": (["RTE"], {"FIRST_RUN": "$(touch made)", "RUNS_DIR": "`touch made`", "RUN_DIR": "",
                                        "METHOD": "deebert", "VANILLA_RUN": "made"}, "goes on from method=vanilla"),
    "no seed": (["RTE"], {"SEEDS": " "}, "seeds=[]: name at least one seed"),
    "training fails": (["RTE"], {"TRAIN_FAILS": "out of luck"}, "training failed: out of luck (the whole log:"),
}


@pytest.mark.parametrize("arguments, variables, message", BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_bad_input_gives_one_line(run_recipe, tmp_path, arguments, variables, message):
    run = run_recipe("glue_task.sh", *arguments, **variables)
    errors = [line for line in run.stderr.splitlines() if "error" in line]
    assert run.returncode == 1
    assert len(errors) == 1 and ": error: " in errors[0] and message in errors[0], run.stderr
    assert "Traceback" not in run.stderr and not (tmp_path / "made").exists()


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
    "killed_at", ["preprocess.data", "fairseq-train", "training_state config", "fairseq_palbert.evaluation"]
)
def test_resumes_after_a_kill(run_recipe, calls, killed_at):
    stages = ["preprocess.data", "fairseq-train", "fairseq_palbert.evaluation"]
    assert run_recipe("glue_task.sh", "RTE", KILL_AT=killed_at).returncode == -9
    again = run_recipe("glue_task.sh", "RTE")
    assert again.returncode == 0, again.stderr
    assert {stage: len(calls(stage)) for stage in stages} == {stage: 1 + (stage == killed_at) for stage in stages}
    assert run_recipe("glue_task.sh", "RTE").returncode == 0
    assert {stage: len(calls(stage)) for stage in stages} == {stage: 1 + (stage == killed_at) for stage in stages}


def test_stages_can_be_chosen(run_recipe, calls):
    assert run_recipe("glue_task.sh", "RTE", "--stop-stage", "2").returncode == 0
    assert calls("preprocess.data") and not calls("fairseq-train")
    assert run_recipe("glue_task.sh", "RTE", "--stage", "4", "--stop-stage", "4").returncode == 0
    assert calls("fairseq-train") and not calls("fairseq_palbert.evaluation")


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
    """Returns whether the lock is free, as it is once the recipe and its child processes have ended."""
    with open(Path(run_dir) / ".lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def commands(environment: dict[str, str]) -> list[str]:
    """Returns the commands of this test's processes, which have its CALLS: the recipe and its children."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"CALLS={environment['CALLS']}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().decode().replace("\0", " ").strip())
        except OSError:
            pass  # it has ended, or is another user's
    return found


@pytest.mark.parametrize("sent, status", [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_recipe_that_is_ended_takes_training_with_it(environment, sent, status):
    recipe = subprocess.Popen([ROOT / "recipes" / "glue_task.sh", "RTE"], env=environment | {"RANK_DIES": "none"},
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while "sleep 55" not in commands(environment):  # the stand-in's training
        assert recipe.poll() is None
        time.sleep(0.05)
    recipe.send_signal(sent)
    assert recipe.wait(30) == status
    deadline = time.monotonic() + 10
    while commands(environment):
        assert time.monotonic() < deadline
        time.sleep(0.05)
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


def test_a_run_directory_in_use_is_refused(run_recipe, environment, tmp_path):
    """The recipe needs no commands but the five in PATH, and so not flock."""
    (tmp_path / "commands").mkdir()
    for command in ("bash", "env", "dirname", "basename", "readlink"):
        (tmp_path / "commands" / command).symlink_to(shutil.which(command))
    Path(environment["RUN_DIR"]).mkdir()
    with open(Path(environment["RUN_DIR"]) / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = run_recipe("glue_task.sh", "RTE", PATH=str(tmp_path / "commands"))
    assert run.returncode == 1 and "another process is at work in" in run.stderr


@pytest.mark.parametrize("run_dir", ["run", "-e [1]* $(touch made)"])
def test_all_goes_on_after_a_failure(run_recipe, tmp_path, run_dir):
    run = run_recipe("glue_all.sh", "RTE", "QNLI", "MNLI", "AX", RUN_DIR=run_dir)
    assert run.returncode == 1 and not (tmp_path / "made").exists()
    assert run.stderr.rstrip().endswith("glue_all.sh: error: failed: QNLI (see above)")
    table = (tmp_path / run_dir / "results.tsv").read_text().splitlines()
    rows = [line.split("\t")[1:3] for line in table[1:]]
    assert rows == [["RTE", "valid"], ["MNLI", "valid"], ["MNLI", "valid1"], ["AX", "test"]]


def test_all_of_superglue_scores_the_diagnostics_with_the_model_of_rte(run_recipe, calls, environment, tmp_path):
    for folder in ("RTE", "CB", "AX-b", "AX-g"):
        (tmp_path / "superglue" / folder).mkdir(parents=True)
    run = run_recipe("superglue_all.sh", "CB", "SuperGLUE-RTE", "AX-b", "AX-g",
                     SUPERGLUE_DIR=str(tmp_path / "superglue"))
    assert run.returncode == 0, run.stderr
    scored = [call.split() for call in calls("fairseq_palbert.evaluation")]
    folders = [Path(call[call.index("fairseq_palbert.evaluation") + 1]).parents[2].name for call in scored]
    assert folders == ["CB", "SuperGLUE-RTE", "SuperGLUE-RTE", "SuperGLUE-RTE"]
    table = Path(environment["RUN_DIR"], "results.tsv").read_text().splitlines()
    assert [line.split("\t")[1:3] for line in table[1:]] == [
        ["CB", "valid"], ["SuperGLUE-RTE", "valid"], ["AX-b", "test"], ["AX-g", "test"]]


def test_all_goes_through_every_task_and_seed(run_recipe, calls, tmp_path):
    run = run_recipe("glue_all.sh", "RTE", "CoLA", ARCH="palbert_albert_base", CONVERTED_ARCH="palbert_albert_base",
                     SEEDS="1 2", RUN_DIR=str(tmp_path / "all"))
    assert run.returncode == 0, run.stderr
    trained = [call.split("--save-dir ")[1].split()[0] for call in calls("fairseq-train")]
    folders = [tmp_path / "all" / task / f"seed{seed}" for task in ("RTE", "CoLA") for seed in (1, 2)]
    assert trained == [str(folder / "checkpoints") for folder in folders]
    assert len(calls("checkpoints.convert")) == 1


def test_all_of_several_costs_are_in_the_table_by_task_and_cost(run_recipe, environment):
    run = run_recipe("glue_all.sh", "RTE", "CoLA", METHOD="palbert_staged", LAYER_COST="0.01 0.02",
                     RUNS_DIR=environment["RUN_DIR"] + "/first")
    assert run.returncode == 0, run.stderr
    table = Path(environment["RUN_DIR"], "results.tsv").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[:2] for line in table[1:] if "\tvalid\t" in line] == [
        [task, f"cost{cost}"] for task in ("RTE", "CoLA") for cost in ("0.01", "0.02")]


def test_all_passes_no_value_on_as_code(run_recipe, calls, tmp_path):
    values = dict.fromkeys(("ARCH", "METHOD", "VOCAB_DIR", "PRETRAINED_DIR", "RUN_DIR"), "-x$(touch made)`touch made`")
    for variables in (values, {"PRETRAINED": "-x; touch made"}, {"VENV": "-x$(touch made)"}):
        run = run_recipe("glue_all.sh", "RTE", **variables)
        assert run.returncode == 1 and run.stderr.count("error: ") == 1 and "Traceback" not in run.stderr, run.stderr
        assert not (tmp_path / "made").exists() and not calls("preprocess")


def test_variables_of_several_lines(run_recipe, calls):
    run = run_recipe("glue_task.sh", "RTE", SEEDS="1\n2", EXTRA_TRAIN_FLAGS="--prior\nuniform\n--layer-cost 1")
    assert run.returncode == 0, run.stderr
    trained = calls("fairseq-train")
    assert len(trained) == 2 and all("--prior uniform --layer-cost 1 " in call for call in trained)


def test_a_typo_in_train_flags_is_found_before_the_first_stage(run_recipe, calls):
    run = run_recipe("glue_task.sh", "RTE", EXTRA_TRAIN_FLAGS="--prior uniform --wormup-updates 3")
    assert run.returncode == 1 and not calls("preprocess.data")
    assert run.stderr.rstrip().endswith("error: extra_train_flags: unrecognized arguments: --wormup-updates 3")


def test_all_offline_is_one_line_before_any_task(run_recipe, calls):
    run = run_recipe("glue_all.sh", "RTE", "CoLA", ARCH="palbert_albert_base", RUN_DIR="")
    assert run.returncode == 1 and run.stderr.count("error") == 1 and "offline" in run.stderr
    assert len(calls("checkpoints.convert albert/albert-base-v2 ")) == 1 and not calls("preprocess.data")


def test_two_runs_at_once_convert_once(run_recipe, calls):
    def convert(run_dir: str) -> int:
        return run_recipe("glue_task.sh", "RTE", "--stop-stage", "1", RUN_DIR=run_dir, PRETRAINED="a/bert",
                          CONVERTED_ARCH="palbert_bert_base", CONVERTING="0.5").returncode

    with ThreadPoolExecutor() as pool:
        assert list(pool.map(convert, ("one", "two"))) == [0, 0]
    assert len(calls("checkpoints.convert")) == 1
