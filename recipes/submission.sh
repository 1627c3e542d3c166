#!/usr/bin/env bash
# GLUE's submission, a zip of all eleven files, from trained runs under an exit rule; or the check of such a zip.
#
#   recipes/submission.sh RUN... --exit RULE --out submission.zip [--seed S] [--fill-missing]
#   recipes/submission.sh runs/palbert_albert_base/{CoLA,SST-2,MRPC,STS-B,QQP,MNLI,QNLI,RTE,WNLI,AX} --exit q_exit:0.5 --out glue.zip
#   recipes/submission.sh --check glue.zip
#
# Inputs:   run directories of recipes/glue_task.sh, one a task, AX's with MNLI's (AX is answered by MNLI's model).
#           --seed (default 1) says which of their models; --fill-missing answers tasks without a run by a constant, and says so.
# Outputs:  the zip, complete and checked or not at all, and a line a file on stdout that says where it comes from. Test
#           splits that are not scored yet are, into RUN/seedS/submission/SPLIT.
# Hardware and duration: seconds once all is scored; QQP's 390,965 pairs want a GPU, which is taken where there is one.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
exec "$VENV/bin/python" "$ROOT/recipes/submission.py" "$@"
