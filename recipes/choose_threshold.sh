#!/usr/bin/env bash
# Each exit rule's threshold by contract, picked on one part of a recorded split and reported on the rest; the wrapper of
# `python -m fairseq_palbert.analysis.choose_threshold`, whose --help has every flag.
#
#   recipes/evaluate.sh CHECKPOINT --data DIR --split valid --exit fixed:12 --record --out OUT
#   recipes/choose_threshold.sh OUT/record.safetensors --max-drop 0.01 [--confidence 0.95] --out OUT
#   recipes/choose_threshold.sh OUT/record.safetensors --budget 6.0 [--rule q_exit --rule patience] --out OUT
#
# Leaves OUT/thresholds.jsonl. Duration: seconds.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
exec "$VENV/bin/python" -m fairseq_palbert.analysis.choose_threshold "$@"
