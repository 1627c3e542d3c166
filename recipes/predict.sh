#!/usr/bin/env bash
# Predicts a stream of sentences or pairs with an exported model; the wrapper of `python -m fairseq_palbert.serving`, whose
# --help has every flag. fairseq need not be installed.
#
#   recipes/predict.sh MODEL_DIR [INPUT] [--exit RULE] [--out FILE] [--batch-size N] [--window-tokens N] [--step-tokens N]
#                      [--dtype D] [--device cpu|cuda] [--format tsv|jsonl] [--sentence COLUMN ...] [--id COLUMN]
#   zcat reviews.jsonl.gz | recipes/predict.sh MODEL_DIR --format jsonl --sentence text --id key | head
#
# Inputs:   MODEL_DIR of `python -m fairseq_palbert.checkpoints.convert --to safetensors`; TSV with a header line or JSON lines in
#           INPUT, by default standard input.
# Outputs:  index (or id), label, probability and exit layer of every row, in its order, on standard output or in FILE.
# Memory:   the same for an input of any length.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

require_environment
exec "$VENV/bin/python" -m fairseq_palbert.serving "$@"
