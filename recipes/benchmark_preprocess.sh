#!/usr/bin/env bash
# Raw GLUE to binarized data, by python -m preprocess.glue and by fairseq's own preprocess_GLUE_tasks.sh, in turn.
#
#   GLUE_DIR=... VOCAB_DIR=... recipes/benchmark_preprocess.sh [TASK]     (default: SST-2; fairseq's lacks WNLI and AX)
#
# Inputs:    GLUE_DIR/TASK and VOCAB_DIR/gpt2_bpe.
# Variables: WORKERS (default: the number of cores), for both; REPEATS (default: 3).
# Outputs:   the seconds of every run, both medians and their ratio on stdout. It fails where the two make other .bin or
#            .idx files of the sentences.
# fairseq's script is the installed one, its line ends made LF, its 60 workers made WORKERS, its downloads left out. It
# runs in a temporary folder.
# Duration:  about 40 seconds a repeat on 2 cores (SST-2). Expected ratio: above 2 (measured: SST-2 4.45).

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

TASK="${1:-SST-2}"
WORKERS="${WORKERS:-$(nproc)}"
REPEATS="${REPEATS:-3}"

case "$TASK" in
    -h | --help) usage && exit 0 ;;
    CoLA | SST-2 | MRPC | STS-B | QQP | MNLI | QNLI | RTE) ;;
    *) die "fairseq's script does not do $TASK: choose CoLA, SST-2, MRPC, STS-B, QQP, MNLI, QNLI or RTE" ;;
esac
require_environment
[[ -f "${GLUE_DIR:-}/$TASK/train.tsv" ]] ||
    die "no $TASK/train.tsv in GLUE_DIR=${GLUE_DIR:-}: set it to the folder of GLUE's task folders"
[[ -f "${VOCAB_DIR:-}/gpt2_bpe/dict.txt" ]] ||
    die "no gpt2_bpe/dict.txt in VOCAB_DIR=${VOCAB_DIR:-}: set it to the folder above gpt2_bpe/"
GLUE_DIR="$(cd "$GLUE_DIR" && pwd)"
VOCAB_DIR="$(cd "$VOCAB_DIR" && pwd)"

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Where fairseq's script runs: its examples, the vocabulary, a copy of the raw data, a wget that does nothing.
prepare_theirs() {
    local package
    package="$(dirname "$("$VENV/bin/python" -c 'import importlib.util as u; print(u.find_spec("fairseq").origin)')")"
    mkdir -p "$work/theirs/raw" "$work/theirs/bin"
    ln -s "$package/examples" "$work/theirs/examples"
    cp "$VOCAB_DIR/gpt2_bpe/"{encoder.json,vocab.bpe,dict.txt} "$work/theirs"
    cp -r "$GLUE_DIR/$TASK" "$work/theirs/raw/$TASK"
    chmod -R u+w "$work/theirs/raw"
    printf '#!/bin/sh\n' >"$work/theirs/bin/wget"
    chmod +x "$work/theirs/bin/wget"
    sed "s/\r\$//; s/--workers 60/--workers $WORKERS/" \
        "$package/examples/roberta/preprocess_GLUE_tasks.sh" >"$work/theirs/script.sh"
}

theirs() {
    rm -rf "$work/theirs/$TASK-bin"
    (cd "$work/theirs" && PATH="$work/theirs/bin:$VENV/bin:$PATH" bash script.sh raw "$TASK")
}

ours() {
    "$VENV/bin/python" -m preprocess.glue --task "$TASK" --raw "$GLUE_DIR" --vocab "$VOCAB_DIR" --out "$work/ours" \
        --workers "$WORKERS" --overwrite
}

# timed NAME: runs it, adds its seconds to NAME.seconds; its output goes to NAME.log, shown where it fails.
timed() {
    local start="$EPOCHREALTIME"
    "$1" >"$work/$1.log" 2>&1 || { cat "$work/$1.log" >&2 && die "$1 failed, see above"; }
    awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", b - a }' | tee -a "$work/$1.seconds" |
        sed "s/^/$1 /"
}

median() {
    sort -n "$work/$1.seconds" | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

compare() {
    local file
    for file in "$work/ours/$TASK"/input*/*.{bin,idx}; do
        cmp "$file" "$work/theirs/$TASK-bin/${file#"$work/ours/$TASK/"}" ||
            die "the two do not make the same data of $TASK"
    done
}

prepare_theirs
for ((run = 0; run < REPEATS; run++)); do
    timed theirs
    timed ours
done
compare
ratio="$(awk -v a="$(median theirs)" -v b="$(median ours)" 'BEGIN { printf "%.2f", a / b }')"
printf '%s, %s workers, median of %s: fairseq %s s, ours %s s, ratio %s\n' \
    "$TASK" "$WORKERS" "$REPEATS" "$(median theirs)" "$(median ours)" "$ratio"
