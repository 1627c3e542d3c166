#!/usr/bin/env bash
# From nothing to an early-exit classifier that thinks longer about harder sentences: set-up, then a generated task in
# GLUE's format is preprocessed, trained on, scored and plotted, by the steps of a GLUE task (recipes/glue_task.sh).
#
#   recipes/quickstart.sh
#
# Needs no download but the set-up's, no argument, and no GPU. Run it again to go on where it ended.
#
# Variables (all optional):
#   RUN_DIR     where everything goes (default: runs/quickstart of the repository)
#   SEED        of training (default 1)
#   VENV, PYTHON, TORCH_SPEC, CXX: see recipes/setup.sh
#
# Leaves in RUN_DIR: raw/Cues (sentences, labels, degrees of difficulty), vocab/gpt2_bpe (a BPE of that text), and what
# recipes/glue_task.sh leaves: data/, invocations.jsonl (git commit, versions), results.tsv and seedS/, which holds
# config.yaml, train.log, tensorboard/, checkpoints/ and scores/valid/ (scores, predictions, plots).
# Prints accuracy and mean exit layer by degree of difficulty. Expected: 95 % or better over all, and exits at least 0.3
# layers later on the hardest degree than on the easiest; exits with status 1 where that does not hold.
# Duration: under 5 minutes on 2 cores after the set-up, in under 3 GiB of memory.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

parse_stages "$@"
[[ $# -eq 0 ]] || die "takes no argument: its settings are variables, see $(basename "$0") --help"
RUN_DIR="$(absolute "${RUN_DIR:-$ROOT/runs/quickstart}")"
SEED="${SEED:-1}"
[[ "$SEED" =~ ^[0-9]+$ ]] || die "SEED=$SEED is no whole number"
SEED_DIR="$RUN_DIR/seed$SEED"

# follow_training: shows training's progress until this recipe ends.
follow_training() {
    mkdir -p "$SEED_DIR"
    touch "$SEED_DIR/train.log"
    tail -n 0 -f "$SEED_DIR/train.log" > >(exec "$VENV/bin/python" -P -m recipes.progress) &
    trap "kill $! 2>/dev/null || true" EXIT
}

"$ROOT/recipes/setup.sh"
# vocab/ is the last that the generator makes, and appears when it is whole
if [[ ! -d "$RUN_DIR/vocab/gpt2_bpe" ]]; then
    log "generating sentences in three degrees of difficulty"
    "$VENV/bin/python" -P -m preprocess.cues --out "$RUN_DIR"
fi
follow_training
env GLUE_DIR="$RUN_DIR/raw" VOCAB_DIR="$RUN_DIR/vocab" RUN_DIR="$RUN_DIR" SEEDS="$SEED" \
    ARCH=palbert_roberta_tiny PRETRAINED=none METHOD=palbert NUM_GPUS=0 \
    EXITS="q_exit:0.5 sampling:1 expectation fixed:6" \
    "$ROOT/recipes/glue_task.sh" Cues
echo
"$VENV/bin/python" -P -m recipes.by_degree "$RUN_DIR/raw/Cues/dev.tsv" "$SEED_DIR/scores/valid"
log "plots: $SEED_DIR/scores/valid/*.png; TensorBoard: $VENV/bin/tensorboard --logdir $SEED_DIR/tensorboard"
