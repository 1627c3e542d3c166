#!/usr/bin/env bash
# One GLUE task: preprocess, train, score, in one run directory. Run it again to go on where it ended.
#
#   GLUE_DIR=raw VOCAB_DIR=vocab recipes/glue_task.sh TASK [--stage N] [--stop-stage N]
#
# TASK: CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI, or AX (predictions of MNLI's model: train MNLI first);
# Cues, the generated task of recipes/quickstart.sh, goes the same way
#
# Stages: 1 preprocess, 2 pretrained encoder, 3 search (where a SEARCH_ list is set), 4 train, 5 score, 6 table
#
# Variables (all optional):
#   GLUE_DIR        raw GLUE, one folder a task (unset: downloaded into RUN_DIR/data/raw)
#   VOCAB_DIR       encoder.json, vocab.bpe and dict.txt, or a folder gpt2_bpe with them (unset: downloaded into RUN_DIR/vocab)
#   DATA            binarized data to use instead of stage 1's
#   RUN_DIR         where everything goes (default: runs/ARCH/TASK of the repository)
#   ARCH            palbert_roberta_tiny (default), palbert_roberta_base, palbert_roberta_large
#   PRETRAINED      RoBERTa checkpoint to start from, or "none" (unset: tiny starts from scratch, base and large fetch
#                   fairseq's public archive once into PRETRAINED_DIR, default runs/pretrained)
#   SEEDS           default "1"; a list trains and scores one model a seed
#   SELECT_ON       valid (default; MNLI: matched), or holdout: the best checkpoint is the best on HOLDOUT_FRACTION
#                   (default 0.1) of train, which is then not trained on
#   EXITS           exit rules to score, as of recipes/evaluate.sh (default "q_exit:0.5 sampling:1 expectation")
#   NUM_GPUS        GPUs of this machine to train on (default: 1 where there is one, else 0)
#   CPU_WORKERS     processes over gloo to train on instead (default 0: one, without gloo)
#   UPDATE_FREQ     batches that make up one update (default 1), each that much smaller
#   MAX_UPDATE MAX_EPOCH LR LAMBDA_LR BETA PRIOR_LAMBDA BATCH WARMUP WEIGHT_DECAY DROPOUT MAX_POSITIONS CLIP_NORM
#                   in place of the row in recipes/hyperparameters.tsv; the learning rate decays over MAX_UPDATE, or over
#                   MAX_EPOCH epochs where only that is given
#   SEARCH_LR SEARCH_LAMBDA_LR SEARCH_BETA
#                   lists, such as "1e-5 2e-5": every combination is trained with the first seed, the best on SELECT_ON wins
#   MNLI_RUN        AX alone: MNLI's run directory (default: MNLI beside RUN_DIR)
#   EXTRA_TRAIN_FLAGS  more flags of fairseq-train, split at blanks; they win over the recipe's
#
# Leaves in RUN_DIR: data/, stages/, invocations.jsonl (time, git commit, dirty or not, versions, variables),
# search/, seedS/{checkpoints,tensorboard,train.log,command,config.yaml,scores/SPLIT/...}, results.tsv.
# Hardware and duration: tiny on 2 cores, minutes; base and large on a GPU, RTE minutes, MNLI many hours.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$ROOT/recipes/training.sh"

parse_stages "$@"
[[ ${#ARGUMENTS[@]} -eq 1 ]] || die "name one GLUE task: see $(basename "$0") --help"
TASK="${ARGUMENTS[0]}"
KNOWN_TASKS="$(known_tasks) AX"
[[ " $KNOWN_TASKS " = *" $TASK "* ]] || die "unknown GLUE task '$TASK': choose from $KNOWN_TASKS"

ARCH="${ARCH:-palbert_roberta_tiny}"
RUN_DIR="${RUN_DIR:-$ROOT/runs/$ARCH/$TASK}"
PRETRAINED="${PRETRAINED:-}"
PRETRAINED_DIR="${PRETRAINED_DIR:-$ROOT/runs/pretrained}"
PRETRAINED_URL="${PRETRAINED_URL:-https://dl.fbaipublicfiles.com/fairseq/models}"
MNLI_RUN="${MNLI_RUN:-$(dirname "$RUN_DIR")/MNLI}"
read -ra SEEDS <<<"${SEEDS:-1}"
SELECT_ON="${SELECT_ON:-valid}"
HOLDOUT_FRACTION="${HOLDOUT_FRACTION:-0.1}"
read -ra EXITS <<<"${EXITS:-q_exit:0.5 sampling:1 expectation}"
CPU_WORKERS="${CPU_WORKERS:-0}"
UPDATE_FREQ="${UPDATE_FREQ:-1}"
read -ra EXTRA_TRAIN_FLAGS <<<"${EXTRA_TRAIN_FLAGS:-}"
PYTHON="$VENV/bin/python"

check_inputs() {
    local variable
    for variable in GLUE_DIR VOCAB_DIR DATA; do
        [[ -z "${!variable:-}" || -d "${!variable}" ]] || die "$variable=${!variable} is no folder"
    done
    [[ -z "${GLUE_DIR:-}" || -d "$GLUE_DIR/$TASK" ]] || die "GLUE_DIR=$GLUE_DIR has no folder $TASK"
    [[ -z "$PRETRAINED" || "$PRETRAINED" = none || -f "$PRETRAINED" ]] || die "PRETRAINED=$PRETRAINED is no file (or none)"
    [[ " valid holdout " = *" $SELECT_ON "* ]] || die "SELECT_ON=$SELECT_ON: choose valid or holdout"
    for seed in "${SEEDS[@]}"; do
        [[ "$TASK" != AX || -e "$MNLI_RUN/stages/train-seed$seed.done" ]] ||
            die "AX is scored with MNLI's model, and MNLI_RUN=$MNLI_RUN has none of seed $seed: run glue_task.sh MNLI first"
    done
    [[ ${#SEEDS[@]} -gt 0 ]] || die "SEEDS is empty"
    [[ "$CPU_WORKERS" =~ ^[0-9]+$ ]] || die "CPU_WORKERS=$CPU_WORKERS is no whole number"
    positive UPDATE_FREQ ${MAX_UPDATE:+MAX_UPDATE} ${MAX_EPOCH:+MAX_EPOCH}
}

read_settings() {
    read_hyperparameters "$ARCH" "$TASK"
    LR="${LR:-${SETTING[lr]}}"
    LAMBDA_LR="${LAMBDA_LR:-${SETTING[lambda_lr]}}"
    BETA="${BETA:-${SETTING[beta]}}"
    PRIOR_LAMBDA="${PRIOR_LAMBDA:-${SETTING[prior_lambda]}}"
    BATCH="${BATCH:-${SETTING[batch]}}"
    WARMUP="${WARMUP:-${SETTING[warmup]}}"
    WEIGHT_DECAY="${WEIGHT_DECAY:-${SETTING[weight_decay]}}"
    DROPOUT="${DROPOUT:-${SETTING[dropout]}}"
    MAX_POSITIONS="${MAX_POSITIONS:-${SETTING[max_positions]}}"
    CLIP_NORM="${CLIP_NORM:-${SETTING[clip_norm]}}"
    positive BATCH MAX_POSITIONS
    if [[ "$SELECT_ON" = valid ]]; then
        HOLDOUT_FRACTION=0
    fi
}

preprocess() {
    local vocab="${VOCAB_DIR:-$RUN_DIR/vocab}"
    [[ -n "${VOCAB_DIR:-}" ]] || "$PYTHON" -m preprocess.download --vocab --out "$vocab"
    "$PYTHON" -m preprocess.glue --task "$TASK" --vocab "$vocab" --out "$RUN_DIR/data" --overwrite
}

# The archive of fairseq's that goes with ARCH, unpacked once into PRETRAINED_DIR.
fetch_pretrained() {
    local archive="$1.tar.gz" unpacking
    mkdir -p "$PRETRAINED_DIR"
    "$PYTHON" -m preprocess.download --url "$PRETRAINED_URL/$archive" --out "$PRETRAINED_DIR/$archive"
    unpacking="$(mktemp -d "$PRETRAINED_DIR/unpacking.XXXXXX")"
    tar -xzf "$PRETRAINED_DIR/$archive" -C "$unpacking" || die "$PRETRAINED_DIR/$archive does not unpack: remove it and try again"
    mv "$unpacking/$1" "$PRETRAINED_DIR/$1"
    rmdir "$unpacking"
    rm "$PRETRAINED_DIR/$archive"
}

# Sets PRETRAINED to a file, or to nothing for training from scratch.
find_pretrained() {
    local archive="roberta.${ARCH##*_}"
    if [[ "$PRETRAINED" = none || (-z "$PRETRAINED" && "$ARCH" = *_tiny) ]]; then
        PRETRAINED=""
    elif [[ -z "$PRETRAINED" ]]; then
        PRETRAINED="$PRETRAINED_DIR/$archive/model.pt"
        if wanted 2 && [[ ! -f "$PRETRAINED" ]]; then
            log "stage 2, fetching $archive"
            fetch_pretrained "$archive"
        fi
    fi
}

# The length of training: MAX_UPDATE, else MAX_EPOCH epochs of the data, else the table's.
count_updates() {
    if [[ -z "${MAX_UPDATE:-}" && -n "${MAX_EPOCH:-}" ]]; then
        [[ -f "$DATA/glue.json" ]] || die "MAX_EPOCH alone needs $DATA/glue.json to count examples: give MAX_UPDATE"
        MAX_UPDATE="$("$PYTHON" -c '
import json, math, sys
rows = json.load(open(sys.argv[1]))["splits"]["train"]["rows"]
rows -= round(float(sys.argv[2]) * rows)
print(int(sys.argv[3]) * math.ceil(rows / int(sys.argv[4])))' "$DATA/glue.json" "$HOLDOUT_FRACTION" "$MAX_EPOCH" "$BATCH")"
    fi
    MAX_UPDATE="${MAX_UPDATE:-${SETTING[updates]}}"
}

# model_flags SEED LR LAMBDA_LR BETA: what decides a run's result, in FLAGS.
model_flags() {
    local valid="valid"
    [[ "$TASK" != MNLI ]] || valid="valid,valid1"
    [[ "$SELECT_ON" = valid ]] || valid="holdout,$valid"
    FLAGS=(
        --task glue --glue-task "$TASK" --max-positions "$MAX_POSITIONS"
        --holdout-fraction "$HOLDOUT_FRACTION" --valid-subset "$valid"
        --arch "$ARCH" --dropout "$DROPOUT" --attention-dropout "$DROPOUT"
        --criterion ponder_classification --beta "$4" --prior-lambda "$PRIOR_LAMBDA"
        --optimizer ponder_adam --adam-betas "(0.9, 0.98)" --adam-eps 1e-06 --weight-decay "$WEIGHT_DECAY" --clip-norm "$CLIP_NORM"
        --lr "$2" --lambda-lr "$3" --lr-scheduler polynomial_decay --total-num-update "$MAX_UPDATE"
        --warmup-updates "$(awk "BEGIN { print int($WARMUP * $MAX_UPDATE) }")"
        --max-update "$MAX_UPDATE" ${MAX_EPOCH:+--max-epoch "$MAX_EPOCH"} --seed "$1"
        --best-checkpoint-metric score --maximize-best-checkpoint-metric --no-epoch-checkpoints "${BATCH_FLAGS[@]}"
    )
    [[ -z "$PRETRAINED" ]] || FLAGS+=(--finetune-from-model "$PRETRAINED")
    FLAGS+=("${EXTRA_TRAIN_FLAGS[@]}")
}

# train_model DIRECTORY: one model with FLAGS; goes on from the newest checkpoint that loads.
train_model() {
    local directory="$1" updates command
    mkdir -p "$directory"
    command=(
        "$DATA" --user-dir "$ROOT/fairseq_palbert" --save-dir "$directory/checkpoints"
        --tensorboard-logdir "$directory/tensorboard" --log-format simple --log-interval 50
        --save-interval-updates 2000 --keep-interval-updates 1  # validates and saves within long epochs
        "${DEVICE_FLAGS[@]}" "${FLAGS[@]}"
    )
    printf '%q ' fairseq-train "${command[@]}" >"$directory/command"
    updates="$("$PYTHON" "$ROOT/recipes/checkpoints.py" resume "$directory/checkpoints")"
    if ((updates < MAX_UPDATE)); then
        log "training from update $updates to $MAX_UPDATE; follow it with: tail -f $directory/train.log"
        fairseq_train "$directory/train.log" "${command[@]}"
    fi
    "$PYTHON" "$ROOT/recipes/checkpoints.py" config "$directory/checkpoints/checkpoint_best.pt" >"$directory/config.yaml"
}

# Trains every combination with the first seed; sets LR, LAMBDA_LR and BETA to the best one's.
search() {
    local lr lambda_lr beta name score results="$RUN_DIR/search/results.tsv"
    mkdir -p "$RUN_DIR/search"
    printf 'score\tlr\tlambda_lr\tbeta\n' >"$results.part"
    for lr in ${SEARCH_LR:-$LR}; do
        for lambda_lr in ${SEARCH_LAMBDA_LR:-$LAMBDA_LR}; do
            for beta in ${SEARCH_BETA:-$BETA}; do
                name="lr$lr-lambda_lr$lambda_lr-beta$beta"
                model_flags "${SEEDS[0]}" "$lr" "$lambda_lr" "$beta"
                stage 3 "search-$name" "${FLAGS[*]}" train_model "$RUN_DIR/search/$name"
                score="$("$PYTHON" "$ROOT/recipes/checkpoints.py" best "$RUN_DIR/search/$name/checkpoints/checkpoint_best.pt")"
                printf '%s\t%s\t%s\t%s\n' "$score" "$lr" "$lambda_lr" "$beta" >>"$results.part"
            done
        done
    done
    mv "$results.part" "$results"
    IFS=$'\t' read -r score LR LAMBDA_LR BETA < <(tail -n +2 "$results" | sort -s -t $'\t' -k 1,1gr)
    log "search: score $score on $SELECT_ON with LR=$LR LAMBDA_LR=$LAMBDA_LR BETA=$BETA ($results)"
}

# score_model CHECKPOINT SPLIT DIRECTORY: scores go to DIRECTORY/scores/SPLIT, and beside the curves of training.
score_model() {
    local flags=(--split "$2" --out "$3/scores/$2" --tensorboard-logdir "$3/tensorboard") rule
    for rule in "${EXITS[@]}"; do
        flags+=(--exit "$rule")
    done
    ((NUM_GPUS == 0)) || flags+=(--device cuda)
    "$ROOT/recipes/evaluate.sh" "$1" --data "$DATA" "${flags[@]}"
}

# Scores SEED's checkpoint in RUN on the splits; again where the rules or the model have changed since.
score_seed() {
    local run="$1" seed="$2" split name
    shift 2
    for split in "$@"; do
        name="score-seed$seed-$split"
        forget_if_changed "$name" "${EXITS[*]}" "$run/stages/train-seed$seed.done"
        stage 5 "$name" "${EXITS[*]}" \
            score_model "$run/seed$seed/checkpoints/checkpoint_best.pt" "$split" "$RUN_DIR/seed$seed"
    done
}

train_seeds() {
    find_pretrained
    count_updates
    if ((LAST_STAGE >= 3)) && [[ -n "${SEARCH_LR:-}${SEARCH_LAMBDA_LR:-}${SEARCH_BETA:-}" ]]; then
        search
    fi
    for seed in "${SEEDS[@]}"; do
        model_flags "$seed" "$LR" "$LAMBDA_LR" "$BETA"
        stage 4 "train-seed$seed" "${FLAGS[*]}" train_model "$RUN_DIR/seed$seed"
    done
}

score_seeds() {
    local run="$RUN_DIR" splits=(valid)
    case "$TASK" in
        MNLI) splits=(valid valid1) ;;
        AX) run="$MNLI_RUN" splits=(test) ;;
    esac
    for seed in "${SEEDS[@]}"; do
        score_seed "$run" "$seed" "${splits[@]}"
    done
}

# As one command, so that a change of this file does not reach a run that is under way.
main() {
    check_inputs
    choose_devices
    if [[ "$TASK" != AX ]]; then
        read_settings
        split_batch
    fi
    require_environment
    claim_run_dir
    "$PYTHON" "$ROOT/recipes/invocation.py" "$(basename "$0")" "$@" >>"$RUN_DIR/invocations.jsonl"
    if [[ -z "${DATA:-}" ]]; then
        stage 1 preprocess "$TASK" preprocess
        DATA="$RUN_DIR/data/$TASK"
    fi
    if [[ "$TASK" != AX ]]; then
        train_seeds
    fi
    score_seeds
    if wanted 6; then
        "$PYTHON" "$ROOT/recipes/results.py" "$RUN_DIR" --out "$RUN_DIR/results.tsv"
    fi
}

main "$@"; exit
