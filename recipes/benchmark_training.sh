#!/usr/bin/env bash
# What pondering costs in training: a step (forward, loss, backward, Adam) of palbert_roberta_base with PALBERT's lambda
# module against one of fairseq's roberta_base with sentence_prediction, in one process, in turn, on the CPU in float32.
#
#   recipes/benchmark_training.sh [--steps 10] [--warm-up 2] [--batch 32] [--tokens 64] [--layers 12] [--seed 1]
#
# Inputs:    none; both models are built through fairseq with random weights, over random tokens without padding.
# Variables: OMP_NUM_THREADS (default: the number of cores).
# Outputs:   one JSON object on stdout: the seconds of every step, both medians and their ratio, by the clock and of
#            processor time, which on a busy machine is the steadier of the two; threads and versions.
# Duration:  about 5 minutes and 6 GiB on 2 cores. Expected ratio: at most 1.08.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
    -h | --help) usage && exit 0 ;;
esac
require_environment
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}"
exec "$VENV/bin/python" "$ROOT/recipes/benchmark_training.py" "$@"
