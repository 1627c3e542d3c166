#!/usr/bin/env bash
# Every early-exit method side by side: tables and plots of recorded runs, as an HTML page and as a Markdown one.
#
#   recipes/report.sh RUN... --out OUT [--glue-dir RAW] [--remarks FILE] [--split valid] [--resamples 1000]
#
# Inputs:   files of recipes/keep_results.sh, or METHOD/TASK folders, such as run directories of recipes/glue_task.sh, scored with
#           recipes/evaluate.sh --record. RAW: raw GLUE, for the text of the hardest and easiest sentences. FILE: Markdown
#           that goes before the tasks.
#           Thresholds are chosen on their records of the split calibration (SELECT_ON=holdout).
# Outputs:  OUT/report.html, which needs nothing beside it; OUT/README.md and its plots, OUT/TASK_PLOT.svg; its first table and
#           plot alone, OUT/front.md and OUT/front.svg.
# Duration: some 5 seconds a seed; claims with 1000 resamples half a minute a method, longest on STS-B.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
exec "$VENV/bin/python" "$ROOT/recipes/report.py" "$@"
