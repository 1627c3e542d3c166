"""Fixtures for tests of recipes: a stand-in environment replaces their heavy commands.

The stand-in's ``fairseq-train`` saves the text "updates learning-rate" as its checkpoint. The stand-in's ``python``
reads that text, writes small results of preprocessing and scoring, copies WHEELS in place of a download by pip, and
writes a conversion to the architecture CONVERTED_ARCH. It runs ``fairseq_palbert.experiment`` and the modules of
recipes with the real Python, whose children use the stand-in; it runs everything else with the real Python alone.

Each command notes its call in CALLS. A call that contains KILL_AT kills its parent by SIGKILL. If RANK_DIES is set,
the worker of that rank fails and the others hang.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTE = """#!/usr/bin/env bash
set -eu
call="$(basename "$0") $*"
echo "$call CUDA_VISIBLE_DEVICES=${CUDA_VISIBLE_DEVICES:-}" >>"$CALLS"
if [[ -n "${KILL_AT:-}" && "$call" == *"$KILL_AT"* ]]; then
    kill -9 $PPID
    exit 1
fi
value_of() {  # value_of FLAG ARGUMENTS...
    local flag="$1"
    while [[ $# -gt 1 && "$2" != "$flag" ]]; do shift; done
    echo "$3"
}
"""
PYTHON = NOTE + """
AS_STAND_IN='import runpy, sys
sys.executable, *sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")'
case "$call" in
    *"-m preprocess.data"*)
        folder="$(value_of --out "$@")/$(value_of --task "$@")"
        mkdir -p "$folder"
        echo '{"splits": {"train": {"rows": 100}}}' >"$folder/glue.json"
        ;;
    *"-m fairseq_palbert.evaluation"*)
        out="$(value_of --out "$@")"
        mkdir -p "$out"
        printf '%s' '{"exit": "q_exit:0.5", "metrics": {"score": 0.5}, "mean_exit": 3, "layer_speedup": 2, ' \\
            '"examples": 1, "exit_histogram": [0, 0, 1, 0, 0, 0], "seconds": 1, "batch_size": null, ' \\
            '"device": "cpu", "dtype": "float32"}' >"$out/scores.jsonl"
        ;;
    *"-m fairseq_palbert.checkpoints.convert"*)
        folder="$(value_of --out "$@")"
        if [[ -z "${CONVERTED_ARCH:-}" ]]; then echo "preprocess: error: offline" >&2; exit 1; fi
        sleep "${CONVERTING:-0}"
        mkdir -p "$folder"
        printf '{"arch": "%s", "flags": ["--encoder-layers", "7"]}' "$CONVERTED_ARCH" >"$folder/conversion.json"
        ;;
    *"-m preprocess.download"*)
        if [[ -n "${DOWNLOADS:-}" ]]; then
            out="$(value_of --out "$@")"
            mkdir -p "$(dirname "$out")"
            if [[ "$call" == *--vocab* ]]; then mkdir -p "$out"; else echo archive >"$out"; fi
            exit
        fi
        echo "preprocess: error: offline" >&2
        exit 1
        ;;
    *"-m pip download"*)
        if [[ -z "${WHEELS:-}" ]]; then echo "ERROR: offline" >&2; exit 1; fi
        cp -r "$WHEELS" "$(value_of --dest "$@")"
        ;;
    *"training_state resume"*)
        if [[ -e "${@: -1}/checkpoint_last.pt" ]]; then cut -d " " -f 1 "${@: -1}/checkpoint_last.pt"; else echo 0; fi
        ;;
    *"training_state best"*) cut -d " " -f 2 "${@: -1}" ;;
    *"training_state config"*) sed "s/.* /lr: /" "${@: -1}" && printf 'model:\n  encoder_layers: 7\n' ;;
    *"-m fairseq_palbert.experiment"* | *"-m recipes."*)
        exec REAL_PYTHON -P -c "$AS_STAND_IN" "$0" "${@:3}"
        ;;
    *) exec REAL_PYTHON "$@" ;;
esac
"""
TRAIN = NOTE + """
[[ -z "${TRAIN_FAILS:-}" ]] || { echo "$TRAIN_FAILS" >&2; exit 1; }
rank="$(value_of --distributed-rank "$@" --distributed-rank 0)"
if [[ -n "${RANK_DIES:-}" ]]; then
    [[ "$rank" = "$RANK_DIES" ]] || exec sleep 55
    echo "rank $rank is lost"
    exit 1
fi
[[ "$rank" = 0 ]] || exit 0
folder="$(value_of --save-dir "$@")"
mkdir -p "$folder"
echo "$(value_of --max-update "$@") $(value_of --lr "$@")" >"$folder/checkpoint_last.pt"
cp "$folder/checkpoint_last.pt" "$folder/checkpoint_best.pt"
"""


@pytest.fixture
def environment(tmp_path):
    """Returns variables for a recipe: the stand-in environment, RUN_DIR, and empty folders for data and vocabulary."""
    binaries = tmp_path / "venv" / "bin"
    binaries.mkdir(parents=True)
    for name, script in {"python": PYTHON, "fairseq-train": TRAIN}.items():
        path = binaries / name
        path.write_text(script.replace("REAL_PYTHON", sys.executable))
        path.chmod(0o755)
    for folder in ("glue/RTE", "glue/CoLA", "glue/MNLI", "glue/AX", "vocab"):
        (tmp_path / folder).mkdir(parents=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "VENV": str(binaries.parent), "CALLS": str(tmp_path / "calls"), "RUN_DIR": str(tmp_path / "run"),
        "GLUE_DIR": str(tmp_path / "glue"), "VOCAB_DIR": str(tmp_path / "vocab"), "NUM_GPUS": "0",
        "PRETRAINED_DIR": str(tmp_path / "pretrained"),
    }


@pytest.fixture
def run_recipe(environment, tmp_path):
    """run_recipe(name, *arguments, **variables) runs recipes/NAME from another folder."""

    def run(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(ROOT / "recipes" / name), *arguments], env=environment | variables, cwd=tmp_path,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    return run


@pytest.fixture
def calls(environment):
    """calls(word) lists the noted calls that contain the word."""

    def find(word: str) -> list[str]:
        path = Path(environment["CALLS"])
        return [line for line in path.read_text().splitlines() if word in line] if path.exists() else []

    return find
