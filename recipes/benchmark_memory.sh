#!/usr/bin/env bash
# What base-sized models need of a small machine: each starts from random weights, trains 20 updates on RTE with the table's
# batch and length, is scored, and is exported in both forms.
#
#   GLUE_DIR=raw VOCAB_DIR=vocab recipes/benchmark_memory.sh [ARCH ...]
#
# Arguments: default palbert_roberta_base palbert_bert_base palbert_albert_base.
# Inputs:    GLUE_DIR/RTE; VOCAB_DIR with gpt2_bpe/, bert/ and albert/. Variables: MAX_UPDATE (default 20).
# Outputs:   one JSON object a model on stdout: the seconds, and the peak resident memory of the largest process, in GiB.
# Duration:  about 10 minutes a model on 2 cores. Expected: under 12 GiB.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_stages "$@"
[[ ${#ARGUMENTS[@]} -gt 0 ]] || ARGUMENTS=(palbert_roberta_base palbert_bert_base palbert_albert_base)
require_environment
[[ -d "${GLUE_DIR:-}/RTE" ]] || die "no RTE in GLUE_DIR=${GLUE_DIR:-}: set it to the folder of GLUE's task folders"
[[ -d "${VOCAB_DIR:-}" ]] || die "VOCAB_DIR=${VOCAB_DIR:-} is no folder: set it to that of gpt2_bpe/, bert/ and albert/"
export MAX_UPDATE="${MAX_UPDATE:-20}"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
for ARCH in "${ARGUMENTS[@]}"; do
    "$VENV/bin/python" "$ROOT/recipes/benchmark_memory.py" "$ARCH" --work "$work/$ARCH"
    rm -rf "${work:?}/$ARCH"
done
