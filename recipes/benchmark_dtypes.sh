#!/usr/bin/env bash
# What a precision costs and gains: a trained model in float32, bfloat16, float16 and int8 on a whole split, packed. Of each
# its speed over float32's, how many predictions and exit layers are float32's, and the difference in the task's score.
#
#   recipes/benchmark_dtypes.sh CHECKPOINT --data DATA/SST-2 [--exit RULE ...] [--dtype D ...] [--compile] [--rounds 5]
#
# Inputs:    a checkpoint, or the folder it was exported to, and the binarized task. --help has every flag. --compile adds
#            float32 by torch.compile, which needs a C++ compiler.
# Variables: OMP_NUM_THREADS (default: the number of cores).
# Outputs:   a table for each rule on standard output.
# Duration:  on 2 cores about 2 minutes for MiniLM-L6 on SST-2's dev set.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}"
exec "$VENV/bin/python" -m recipes.benchmark_dtypes "$@"
