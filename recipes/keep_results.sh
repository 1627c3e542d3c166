#!/usr/bin/env bash
# Copies what a finished run has scored to where this project keeps it, without a path of the machine that ran it.
#
#   recipes/keep_results.sh RUN_DIR NAME [--out recipes/results]
#
# Inputs:   RUN_DIR of recipes/glue_task.sh; NAME: of what training started from, such as minilm_l6.
# Outputs:  OUT/NAME/METHOD.safetensors: all seeds and splits of every task, in which the run's task is replaced.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
exec "$VENV/bin/python" "$ROOT/recipes/keep_results.py" "$@"
