#!/usr/bin/env bash
# Scores a checkpoint under exit rules; the wrapper of `python -m fairseq_palbert.evaluation`, whose --help has every flag.
#
#   recipes/evaluate.sh CHECKPOINT --data DIR --split valid --exit q_exit:0.5 --exit fixed:12 --out OUT
#
# Leaves OUT/scores.jsonl, OUT/predictions.tsv and plots. Duration: seconds for tiny, minutes for base on a CPU.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
exec "$VENV/bin/python" -m fairseq_palbert.evaluation "$@"
