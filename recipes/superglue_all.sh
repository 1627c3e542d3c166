#!/usr/bin/env bash
# SuperGLUE tasks one after the other by recipes/glue_task.sh; ends with one table over all. Run it again to go on.
#
#   SUPERGLUE_DIR=raw VOCAB_DIR=vocab recipes/superglue_all.sh [TASK ...] [--stage N] [--stop-stage N]
#
# TASK: default all of BoolQ CB COPA MultiRC ReCoRD SuperGLUE-RTE WiC WSC AX-b AX-g, in this order (AX-b and AX-g need
# the model of SuperGLUE-RTE). `palbert submission --benchmark superglue` takes the run directories.
# Variables: those of recipes/glue_task.sh, for every task alike; RUN_DIR (default: runs/ARCH, of
# another METHOD than palbert runs/ARCH/METHOD) gets one folder a task.
# A task that fails is reported at the end, after the others, and the exit status is then 1.
# Leaves RUN_DIR/TASK/, RUN_DIR/results.tsv; where LAYER_COST is a list, a row of that has TASK in the column method and
# costC in the column run. Duration: the sum of the tasks'.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

parse_stages "$@"
run_all BoolQ CB COPA MultiRC ReCoRD SuperGLUE-RTE WiC WSC AX-b AX-g; exit
