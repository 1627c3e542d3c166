#!/usr/bin/env bash
# One task: preprocess, train, score, in one run directory. Run it again to go on where it ended.
#
#   GLUE_DIR=raw VOCAB_DIR=vocab recipes/glue_task.sh TASK [--stage N] [--stop-stage N]
#   GLUE_DIR=raw PRETRAINED=bert-base METHOD=vanilla SEEDS="1 2 3" LR=2e-5 recipes/glue_task.sh TASK ...
#
# TASK: your own task file (recipes/OWN_TASK.md); CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI, or AX (predictions of
# MNLI's model: train MNLI first); a task of recipes/superglue_all.sh; or Cues, that of recipes/quickstart.sh
#
# Stages: 1 pretrained encoder, 2 preprocess, 3 search (where a SEARCH_ list is set), 4 train, 5 score, 6 table
#
# Variables (all optional): the settings that `palbert train --help` explains, in capitals: GLUE_DIR, VOCAB_DIR,
# PRETRAINED, ARCH, METHOD, RUN_DIR, SEEDS, EXITS, LR, SELECT_ON, EXTRA_TRAIN_FLAGS and so on. A list is words.
# RUN_DIR: by default runs/ARCH/TASK of the repository, of other methods than palbert runs/ARCH/METHOD/TASK.
#
# Leaves in RUN_DIR: data/, stages/, invocations.jsonl (time, git commit, dirty or not, versions, variables),
# search/, seedS/{checkpoints,tensorboard,train.log,command,config.yaml,scores/SPLIT/...}, results.tsv.
# Hardware and duration: tiny on 2 cores, minutes; MiniLM-L6 there, MRPC 3 minutes an epoch; base and large on a GPU,
# RTE minutes, MNLI many hours.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

parse_stages "$@"
[[ ${#ARGUMENTS[@]} -eq 1 ]] || die "name one task: see $(basename "$0") --help"
require_environment
export TASK="${ARGUMENTS[0]}" STAGE="$FIRST_STAGE" STOP_STAGE="$LAST_STAGE" RUNS_DIR="${RUNS_DIR:-$ROOT/runs}"
export FIRST_RUN="${FIRST_RUN:-${VANILLA_RUN:-}}"
exec "$VENV/bin/python" -P -m fairseq_palbert.experiment.variables
