#!/usr/bin/env bash
# Every exit rule over its whole range of thresholds, replayed from one recorded pass; the wrapper of
# `python -m fairseq_palbert.analysis.sweep`, whose --help has every flag.
#
#   recipes/evaluate.sh CHECKPOINT --data DIR --split valid --exit fixed:12 --record --out OUT
#   recipes/sweep.sh OUT/record.safetensors --out OUT [--rule q_exit --rule patience] [--points 100]
#
# Leaves OUT/sweep.jsonl and, of a split with labels, OUT/analysis.json. Duration: seconds.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
exec "$VENV/bin/python" -m fairseq_palbert.analysis.sweep "$@"
