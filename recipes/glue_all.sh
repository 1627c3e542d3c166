#!/usr/bin/env bash
# GLUE tasks one after the other by recipes/glue_task.sh; ends with one table over all. Run it again to go on.
#
#   GLUE_DIR=raw VOCAB_DIR=vocab recipes/glue_all.sh [TASK ...] [--stage N] [--stop-stage N]
#   GLUE_DIR=raw ARCH=palbert_albert_base SEEDS="1 2 3 4 5" recipes/glue_all.sh    (meant to reproduce PALBERT's table)
#
# TASK: default all of CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI AX, in this order (AX needs MNLI's model).
# Variables: those of recipes/glue_task.sh, for every task alike; RUN_DIR (default: runs/ARCH, of
# another METHOD than palbert runs/ARCH/METHOD) gets one folder a task.
# A task that fails is reported at the end, after the others, and the exit status is then 1.
# Leaves RUN_DIR/TASK/, RUN_DIR/results.tsv; where LAYER_COST is a list, a row of that has TASK in the column method and
# costC in the column run. Duration: the sum of the tasks'.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

parse_stages "$@"
run_all CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI AX; exit
