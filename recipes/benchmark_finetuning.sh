#!/usr/bin/env bash
# What our fine-tuning costs: updates of vanilla and of PALBERT by fairseq's trainer against transformers'
# BertForSequenceClassification in a plain training loop, from the same weights, on the same batches of MRPC, in one
# process, in turn, on the CPU in float32.
#
#   GLUE_DIR=raw PRETRAINED=folder recipes/benchmark_finetuning.sh [--batches K] [--chunk 5] [--warm-up 2] [--seed 1]
#
# Inputs:    PRETRAINED, a BERT in the Hugging Face layout; GLUE_DIR/MRPC. Needs recipes/setup.sh --benchmark.
# Variables: OMP_NUM_THREADS (default: the number of cores); PRETRAINED_DIR, as of recipes/glue_task.sh.
# All three sides get the same sentences in the same batch, 32 padded to the longest of them, at most 128 tokens, and the
# same learning rate, weight decay, clipping and linear decay. Tokenizing is done before; padding is timed.
# Outputs:   one JSON object on stdout: the seconds of every chunk of batches, the medians and their ratios to transformers',
#            by the clock and of processor time, which on a busy machine is the steadier of the two; threads and versions.
# Duration:  --batches K: by default an epoch, 115 batches; MiniLM-L6 on 2 cores about 8 minutes for the three sides.
# Expected ratios: at most 1.10 (vanilla) and 1.15 (palbert).

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
    -h | --help) usage && exit 0 ;;
esac
FLAGS=("$@")
parse_stages
require_environment
"$VENV/bin/python" -c 'import transformers' 2>/dev/null || die "transformers is not installed: run recipes/setup.sh --benchmark"
[[ -f "${PRETRAINED:-}/config.json" ]] || die "PRETRAINED=${PRETRAINED:-} is no Hugging Face folder: it has no config.json"
[[ -d "${GLUE_DIR:-}/MRPC" ]] || die "no MRPC in GLUE_DIR=${GLUE_DIR:-}: set it to the folder of GLUE's task folders"
start="$("$VENV/bin/python" -P -m fairseq_palbert.experiment.pretrained "$PRETRAINED" \
    --pretrained-dir "${PRETRAINED_DIR:-$ROOT/runs/pretrained}")"
mapfile -t start <<<"$start"
[[ "${start[0]}" = palbert_bert* ]] || die "PRETRAINED=$PRETRAINED is a ${start[0]}: name a BERT"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$VENV/bin/python" -m preprocess.glue --task MRPC --split train --vocab "${start[2]}" --out "$work" >&2
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}"
"$VENV/bin/python" "$ROOT/recipes/benchmark_finetuning.py" --pretrained "$PRETRAINED" --checkpoint "${start[1]}" \
    --data "$work/MRPC" "${FLAGS[@]}" --arch "${start[0]}" "${start[@]:3}"
