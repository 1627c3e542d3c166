#!/usr/bin/env bash
# One GLUE task: preprocess, train, score, in one run directory. Run it again to go on where it ended.
#
#   GLUE_DIR=raw VOCAB_DIR=vocab recipes/glue_task.sh TASK [--stage N] [--stop-stage N]
#   GLUE_DIR=raw PRETRAINED=bert-base [METHOD=vanilla] recipes/glue_task.sh TASK ...
#
# TASK: CoLA SST-2 MRPC STS-B QQP MNLI QNLI RTE WNLI, or AX (predictions of MNLI's model: train MNLI first);
# Cues, the generated task of recipes/quickstart.sh, goes the same way
#
# Stages: 1 pretrained encoder, 2 preprocess, 3 search (where a SEARCH_ list is set), 4 train, 5 score, 6 table
#
# Variables (all optional):
#   GLUE_DIR        raw GLUE, one folder a task (unset: downloaded into RUN_DIR/data/raw)
#   PRETRAINED      what to start from: a folder in the Hugging Face layout, a Hub id, a RoBERTa checkpoint or archive of
#                   fairseq's (.pt, .tar.gz), a folder of fairseq_palbert.checkpoints.convert, a checkpoint that this recipe has
#                   trained, on whatever task, or "none". It decides family, architecture, tokenizer and the row of
#                   recipes/hyperparameters.tsv. Unset: the usual public checkpoint of ARCH; *_tiny start from scratch
#   PRETRAINED_DIR  where it is converted to, once (default: runs/pretrained of the repository)
#   ARCH            needed without PRETRAINED alone (default: palbert_roberta_tiny): palbert_roberta, palbert_bert,
#                   palbert_albert or palbert_mpnet and a size, such as palbert_albert_base
#   METHOD          palbert (default); pondernet: a linear lambda module, BETA 0.01; of a classifier a layer without
#                   pondering pabee, uniform and berxit (with a learned-exit head), and deebert and fastbert, which train the
#                   exits of a finished METHOD=vanilla; vanilla: the same encoder, fine-tuned for its last layer alone;
#                   staticK: the same, of its first K layers. Each trains and scores by its paper's objective and rule
#                   METHOD_staged, as palbert_staged: a second phase that trains a new lambda module alone, on a part of the
#                   holdout (the split gate), by what each layer gets wrong; METHOD is trained first where it has not been
#   FIRST_RUN       deebert, fastbert: run directory of METHOD=vanilla, with the same seeds (or VANILLA_RUN); METHOD_staged:
#                   that of METHOD (default: the usual one)
#   VOCAB_DIR       RoBERTa's encoder.json, vocab.bpe and dict.txt, BERT's vocab.txt or ALBERT's spiece.model, or a folder
#                   with such folders gpt2_bpe, bert, albert, mpnet: for what comes without a vocabulary, as models from
#                   scratch and fairseq's checkpoints do (unset: RoBERTa's is downloaded)
#   DATA            binarized data to use instead of stage 2's
#   RUN_DIR         where everything goes (default: runs/ARCH/TASK of the repository, of other methods runs/ARCH/METHOD/TASK)
#   DETOKENIZE      1: undo the spaces around punctuation that MRPC and CoLA carry (default 0)
#   TRAIN_EXAMPLES  train on so many rows of a seeded shuffle of train (unset: all)
#   FRESH_HEADS     1: take nothing but the encoder over from PRETRAINED (default 0: its pooler too, and the lambda module of
#                   a model trained here; the classifier never)
#   SEEDS           default "1"; a list trains and scores one model a seed
#   SELECT_ON       valid (default; MNLI: matched), or holdout (default of METHOD_staged): the best checkpoint is the best on
#                   HOLDOUT_FRACTION of train, which is then not trained on (default 0.1; CoLA, MRPC, STS-B, RTE, WNLI 0.2);
#                   the split calibration, a quarter of the holdout, is scored and recorded too, to choose thresholds on
#                   (palbert report)
#   EXITS           exit rules to score, as of palbert evaluate, fixed:N for the last layer (default: the method's, such as
#                   "q_exit:0.5 sampling:1 expectation fixed:N"); every layer's answers are recorded too, for palbert sweep
#   NUM_GPUS        GPUs of this machine to train on (default: 1 where there is one, else 0)
#   CPU_WORKERS     processes over gloo to train on instead (default 0: one, without gloo)
#   UPDATE_FREQ     batches that make up one update (default 1), each that much smaller
#   MAX_UPDATE MAX_EPOCH LR LAMBDA_LR BETA PRIOR_LAMBDA BATCH LENGTH_POOL WARMUP PATIENCE WEIGHT_DECAY DROPOUT
#   MAX_POSITIONS CLIP_NORM
#                   in place of the row in recipes/hyperparameters.tsv; the learning rate decays over MAX_UPDATE, or over
#                   MAX_EPOCH epochs where only that is given
#   GATE_LR GATE_BATCH GATE_UPDATES GATE_BETA GATE_TARGET LAYER_COST FIRST_TRAIN_FLAGS
#                   METHOD_staged: of its second phase (defaults in recipes/methods.sh), where the variables above are of the
#                   first; FIRST_TRAIN_FLAGS are the first's EXTRA_TRAIN_FLAGS. LAYER_COST may be a list, such as
#                   "0.005 0.01 0.02": a gate a cost, in RUN_DIR/costC
#   SEARCH_LR SEARCH_LAMBDA_LR SEARCH_BETA
#                   lists, such as "1e-5 2e-5": every combination is trained with the first seed, the best on SELECT_ON wins
#   MNLI_RUN        AX alone: MNLI's run directory (default: MNLI beside RUN_DIR)
#   EXTRA_TRAIN_FLAGS  more flags of fairseq-train, split at blanks; they win over the recipe's
#
# Leaves in RUN_DIR: data/, stages/, invocations.jsonl (time, git commit, dirty or not, versions, variables),
# search/, seedS/{checkpoints,tensorboard,train.log,command,config.yaml,scores/SPLIT/...}, results.tsv.
# Hardware and duration: tiny on 2 cores, minutes; MiniLM-L6 there, MRPC 3 minutes an epoch; base and large on a GPU, RTE
# minutes, MNLI many hours.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$ROOT/recipes/methods.sh"
source "$ROOT/recipes/training.sh"
source "$ROOT/recipes/pretrained.sh"

parse_stages "$@"
[[ ${#ARGUMENTS[@]} -eq 1 ]] || die "name one GLUE task: see $(basename "$0") --help"
TASK="${ARGUMENTS[0]}"
KNOWN_TASKS="$(known_tasks) AX"
[[ " $KNOWN_TASKS " = *" $TASK "* ]] || die "unknown GLUE task '$TASK': choose from $KNOWN_TASKS"

DETOKENIZE="${DETOKENIZE:-0}" FRESH_HEADS="${FRESH_HEADS:-0}"
read -ra SEEDS <<<"${SEEDS:-1}"
check_method
set_gate_defaults "$TASK"
if staged; then SELECT_ON="${SELECT_ON:-holdout}"; fi
SELECT_ON="${SELECT_ON:-valid}"
case "$TASK" in
    CoLA | MRPC | STS-B | RTE | WNLI) HOLDOUT_FRACTION="${HOLDOUT_FRACTION:-0.2}" ;;
    *) HOLDOUT_FRACTION="${HOLDOUT_FRACTION:-0.1}" ;;
esac
read -ra EXITS <<<"${EXITS:-$(usual_exits "$TASK")}"
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
    check_pretrained
    one_of SELECT_ON valid holdout
    ! staged || [[ "$SELECT_ON" = holdout ]] || die "METHOD=$METHOD learns on rows that its first phase held out: SELECT_ON=holdout"
    one_of GATE_TARGET loss error
    not_negative GATE_LR GATE_BETA LAYER_COST
    one_of DETOKENIZE 0 1
    one_of FRESH_HEADS 0 1
    DETOKENIZE="${DETOKENIZE#0}" FRESH_HEADS="${FRESH_HEADS#0}"
    for variable in BETA PRIOR_LAMBDA LAMBDA_LR SEARCH_BETA SEARCH_LAMBDA_LR; do
        [[ -z "${!variable:-}" || "$METHOD" =~ ^(palbert|pondernet) ]] ||
            die "$variable is of pondering, and METHOD=$METHOD has none: unset it"
    done
    [[ ${#SEEDS[@]} -gt 0 ]] || die "SEEDS is empty"
    [[ "$CPU_WORKERS" =~ ^[0-9]+$ ]] || die "CPU_WORKERS=$CPU_WORKERS is no whole number"
    positive UPDATE_FREQ GATE_BATCH GATE_UPDATES ${MAX_UPDATE:+MAX_UPDATE} ${MAX_EPOCH:+MAX_EPOCH} ${TRAIN_EXAMPLES:+TRAIN_EXAMPLES}
}

# Where runs go; AX is scored with the models of MNLI's, and some methods go on from vanilla's.
choose_run_dir() {
    RUN_DIR="${RUN_DIR:-$(runs_folder)/$TASK}"
    FIRST_RUN="${FIRST_RUN:-${VANILLA_RUN:-$(METHOD="$(first_phase)" runs_folder)/$TASK}}"
    MNLI_RUN="${MNLI_RUN:-$(dirname "$RUN_DIR")/MNLI}"
    for seed in "${SEEDS[@]}"; do
        [[ "$TASK" != AX || -e "$MNLI_RUN/stages/train-seed$seed.done" ]] ||
            die "AX is scored with MNLI's model, and MNLI_RUN=$MNLI_RUN has none of seed $seed: run glue_task.sh MNLI first"
        ! follows || staged || [[ -e "$FIRST_RUN/stages/train-seed$seed.done" ]] ||
            die "METHOD=$METHOD goes on from METHOD=$(first_phase), and FIRST_RUN=$FIRST_RUN has none of seed $seed: train that first"
    done
}

# train_first_phase: the models that METHOD_staged goes on from, where they are not there.
train_first_phase() {
    log "METHOD=$(first_phase), the first phase of $METHOD, in $FIRST_RUN"
    env METHOD="$(first_phase)" RUN_DIR="$FIRST_RUN" SEEDS="${SEEDS[*]}" SELECT_ON=holdout HOLDOUT_FRACTION="$HOLDOUT_FRACTION" \
        EXTRA_TRAIN_FLAGS="${FIRST_TRAIN_FLAGS:-}" EXITS= "$ROOT/recipes/glue_task.sh" "$TASK" --stop-stage 4
    DATA="${DATA:-$FIRST_RUN/data/$TASK}"
}

read_settings() {
    read_hyperparameters "$ARCH" "$TASK"
    LR="${LR:-${SETTING[lr]}}"
    LAMBDA_LR="${LAMBDA_LR:-${SETTING[lambda_lr]}}"
    [[ "$METHOD" != pondernet ]] || SETTING[beta]=0.01  # PonderNet's (arXiv 2107.05407)
    BETA="${BETA:-${SETTING[beta]}}"
    PRIOR_LAMBDA="${PRIOR_LAMBDA:-${SETTING[prior_lambda]#-}}"
    BATCH="${BATCH:-${SETTING[batch]}}"
    WARMUP="${WARMUP:-${SETTING[warmup]}}"
    PATIENCE="${PATIENCE:-${SETTING[patience]#-}}"
    WEIGHT_DECAY="${WEIGHT_DECAY:-${SETTING[weight_decay]}}"
    DROPOUT="${DROPOUT:-${SETTING[dropout]}}"
    MAX_POSITIONS="${MAX_POSITIONS:-${SETTING[max_positions]}}"
    LENGTH_POOL="${LENGTH_POOL:-${SETTING[length_pool]}}"
    CLIP_NORM="${CLIP_NORM:-${SETTING[clip_norm]}}"
    if staged; then
        LR="$GATE_LR" BATCH="$GATE_BATCH" MAX_UPDATE="$GATE_UPDATES" MAX_EPOCH="" WARMUP=0 PATIENCE="" WEIGHT_DECAY=0.0
    fi
    positive BATCH LENGTH_POOL MAX_POSITIONS ${PATIENCE:+PATIENCE}
    if [[ "$SELECT_ON" = valid ]]; then
        HOLDOUT_FRACTION=0
    fi
    if [[ -z "${MAX_UPDATE:-}${MAX_EPOCH:-}" ]]; then
        case "${SETTING[length]}" in
            *" updates") MAX_UPDATE="${SETTING[length]% updates}" ;;
            *" epochs") MAX_EPOCH="${SETTING[length]% epochs}" ;;
        esac
    fi
}

preprocess() {
    find_vocabulary
    "$PYTHON" -m preprocess.glue --task "$TASK" --vocab "$VOCABULARY" --out "$RUN_DIR/data" --overwrite \
        ${DETOKENIZE:+--detokenize}
}

# Sets MAX_UPDATE where the length of training is known in epochs alone.
count_updates() {
    [[ -z "${MAX_UPDATE:-}" ]] || return 0
    [[ -f "$DATA/glue.json" ]] || die "training for $MAX_EPOCH epochs needs $DATA/glue.json to count examples: give MAX_UPDATE"
    MAX_UPDATE="$("$PYTHON" -c '
import json, math, sys
path, holdout, examples, epochs, batch = sys.argv[1:]
rows = json.load(open(path))["splits"]["train"]["rows"]
rows = min(rows - round(float(holdout) * rows), int(examples or rows))
print(int(epochs) * math.ceil(rows / int(batch)))' \
        "$DATA/glue.json" "$HOLDOUT_FRACTION" "${TRAIN_EXAMPLES:-}" "$MAX_EPOCH" "$BATCH")"
}

# model_flags SEED LR LAMBDA_LR BETA: what decides a run's result, in FLAGS.
model_flags() {
    local valid="valid" best=(score --maximize-best-checkpoint-metric)
    ! follows || best=(loss)  # of all exits: the last one's score stays what it was
    [[ "$TASK" != MNLI ]] || valid="valid,valid1"
    [[ "$SELECT_ON" = valid ]] || valid="holdout,$valid"
    ! staged || valid="calibration"
    FLAGS=(
        --task glue --glue-task "$TASK" --max-positions "$MAX_POSITIONS" --length-pool "$LENGTH_POOL"
        --holdout-fraction "$HOLDOUT_FRACTION" --valid-subset "$valid" ${TRAIN_EXAMPLES:+--train-examples "$TRAIN_EXAMPLES"}
        --arch "$ARCH" "${ENCODER_FLAGS[@]}" --dropout "$DROPOUT" --attention-dropout "$DROPOUT"
        --optimizer ponder_adam --adam-betas "${SETTING[adam_betas]}" --adam-eps "${SETTING[adam_eps]}"
        --weight-decay "$WEIGHT_DECAY" --clip-norm "$CLIP_NORM"
        --lr "$2" --lr-scheduler polynomial_decay --total-num-update "$MAX_UPDATE"
        --warmup-updates "$(awk "BEGIN { print int($WARMUP * $MAX_UPDATE) }")"
        --max-update "$MAX_UPDATE" ${MAX_EPOCH:+--max-epoch "$MAX_EPOCH"} ${PATIENCE:+--patience "$PATIENCE"} --seed "$1"
        --best-checkpoint-metric "${best[@]}" --no-epoch-checkpoints "${BATCH_FLAGS[@]}"
    )
    method_flags "$3" "$4"
    if follows; then
        FLAGS+=(--finetune-from-model "$FIRST_RUN/seed$1/checkpoints/checkpoint_best.pt")
        ! staged || FLAGS+=(--pooled-states "$FIRST_RUN/seed$1/pooled.safetensors")
    elif [[ -n "$CHECKPOINT" ]]; then
        FLAGS+=(--finetune-from-model "$CHECKPOINT")
    fi
    FLAGS+=(${FRESH_HEADS:+--fresh-heads} "${EXTRA_TRAIN_FLAGS[@]}")
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

# score_model TRAINED SPLIT DIRECTORY: scores of the best checkpoint go to DIRECTORY/scores/SPLIT, and beside the curves of
# training.
score_model() {
    local flags=(--glue-task "$TASK" --split "$2" --out "$3/scores/$2" --tensorboard-logdir "$3/tensorboard" --record) rule layers
    layers="$(awk '$1 == "encoder_layers:" { print $2 }' "$1/config.yaml")"
    for rule in "${EXITS[@]}"; do
        flags+=(--exit "${rule/#fixed:N/fixed:$layers}")
    done
    ((NUM_GPUS == 0)) || flags+=(--device cuda)
    "$PYTHON" -m fairseq_palbert.evaluation "$1/checkpoints/checkpoint_best.pt" --data "$DATA" "${flags[@]}"
}

# Scores SEED's checkpoint in RUN on the splits; again where the rules or the model have changed since.
score_seed() {
    local run="$1" seed="$2" split name
    shift 2
    for split in "$@"; do
        name="score-seed$seed-$split"
        forget_if_changed "$name" "${EXITS[*]}" "$run/stages/train-seed$seed.done"
        stage 5 "$name" "${EXITS[*]}" \
            score_model "$run/seed$seed" "$split" "$RUN_DIR/seed$seed"
    done
}

train_seeds() {
    count_updates
    if [[ -n "${SEARCH_LR:-}${SEARCH_LAMBDA_LR:-}${SEARCH_BETA:-}" ]]; then
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
    [[ "$SELECT_ON" = valid || "$TASK" = AX ]] || splits+=(calibration)
    for seed in "${SEEDS[@]}"; do
        score_seed "$run" "$seed" "${splits[@]}"
    done
}

# train_at_each_cost: a run of its own for every LAYER_COST; they share what the first phase makes of the sentences.
train_at_each_cost() {
    local cost
    for cost in $LAYER_COST; do
        env LAYER_COST="$cost" SEEDS="${SEEDS[*]}" EXITS="${EXITS[*]}" FIRST_RUN="$FIRST_RUN" RUN_DIR="$RUN_DIR/cost$cost" \
            "$ROOT/recipes/glue_task.sh" "$TASK" --stage "$FIRST_STAGE" --stop-stage "$LAST_STAGE"
    done
}

# As one command, so that a change of this file does not reach a run that is under way.
main() {
    check_inputs
    choose_devices
    require_environment
    find_pretrained
    choose_run_dir
    if staged && [[ "$LAYER_COST" = *[[:space:]]* ]]; then
        train_at_each_cost
        return
    fi
    if staged && ((LAST_STAGE >= 4)); then
        train_first_phase
    fi
    if [[ "$TASK" != AX ]]; then
        read_settings
        split_batch
    fi
    claim_run_dir
    "$PYTHON" "$ROOT/recipes/invocation.py" "$(basename "$0")" "$@" >>"$RUN_DIR/invocations.jsonl"
    if [[ -z "${DATA:-}" ]]; then
        stage 2 preprocess "$TASK${VOCABULARY:+ $VOCABULARY}${DETOKENIZE:+ --detokenize}" preprocess
        DATA="$RUN_DIR/data/$TASK"
    fi
    if [[ "$TASK" != AX ]] && ((LAST_STAGE >= 3)); then
        train_seeds
    fi
    score_seeds
    if wanted 6; then
        "$PYTHON" "$ROOT/recipes/results.py" "$RUN_DIR" --out "$RUN_DIR/results.tsv"
    fi
}

main "$@"; exit
