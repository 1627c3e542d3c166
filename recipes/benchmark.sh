#!/usr/bin/env bash
# How fast a model runs, with and without early exit: the same weights and sentences through (a) stock fairseq, (b)
# transformers, (c) early exit one sentence at a time, (d) a padded batch that waits for its slowest row, (e) a padded batch
# whose exited rows are dropped, (f) ONNX Runtime at full depth, (g) this engine at batch 1, 8, 32, 128 and packed, and packed
# in bfloat16 and int8 where the CPU has instructions for them. Packed, it also runs with its heads reading the first token and
# the mean over tokens, the same weights and exits.
#
#   recipes/benchmark.sh --data DATA/SST-2 --out OUT [--sentences 128] [--rounds 5]
#   recipes/benchmark.sh --checkpoint CHECKPOINT --data DATA/SST-2 --out OUT [--exit q_exit:0.5 | --drawn MEAN]
#
# Inputs:    a binarized task (recipes/glue_task.sh leaves one, palbert data makes one). CHECKPOINT is a trained
#            model of any family, a checkpoint of fairseq-train or the folder that one was exported to, and leaves by its own
#            exit rule; what fairseq itself cannot compute, (a) is left out for, with a line that says so. Without it, a
#            RoBERTa of random weights, 12 x 768, on data of RoBERTa's tokenizer, leaves by a geometric distribution of mean
#            N / 2. Needs recipes/setup.sh --benchmark. --help has the other flags.
# Variables: OMP_NUM_THREADS (default: the number of cores).
# Outputs:   OUT/benchmark.json (every time taken), OUT/benchmark.md, OUT/benchmark.png. Every variant's answers and exits
#            are compared first; where they differ, no time is reported.
# Duration:  on 2 cores about 10 minutes for 128 sentences of SST-2.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
"$VENV/bin/python" -c 'import transformers, onnxruntime' 2>/dev/null ||
    die "transformers or onnxruntime is not installed: run recipes/setup.sh --benchmark"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}"
exec "$VENV/bin/python" -m recipes.benchmark "$@"
