#!/usr/bin/env bash
# Whether one exit rule of one run scores better than one of another, such as PALBERT's Q-exit against the vanilla encoder.
#
#   recipes/compare.sh RULE_A RULE_B --runs TASK RUN_A RUN_B [--runs TASK RUN_A RUN_B ...]
#   recipes/compare.sh q_exit:0.5 fixed:6 --runs MRPC runs/palbert/MRPC runs/vanilla/MRPC
#
# Inputs:   run directories of recipes/glue_task.sh, scored under the rules, or files of recipes/keep_results.sh. --help lists --split, --resamples and --seed.
# Outputs:  a table on stdout: both scores, their difference in points and its paired bootstrap 95 % interval.
# Duration: seconds a task; for STS-B with 3 seeds about a minute.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
exec "$VENV/bin/python" "$ROOT/recipes/compare.py" "$@"
