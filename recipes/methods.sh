# Sourced by recipes/glue_task.sh: what METHOD means in fairseq's flags, which exits it is scored by, and which other method's
# run of the same task and seed it goes on from.

METHOD="${METHOD:-palbert}"
METHODS="palbert pondernet pabee uniform deebert fastbert berxit vanilla static1 static2 ..., and the first seven with _staged"
EXIT_EACH=(--per-layer-pooler --per-layer-classifier)

check_method() {
    [[ "$METHOD" =~ ^((palbert|pondernet|pabee|uniform|deebert|fastbert|berxit)(_staged)?|vanilla|static[1-9][0-9]*)$ ]] ||
        die "METHOD=$METHOD: choose from $METHODS"
}

ponders() {
    [[ "$METHOD" = palbert || "$METHOD" = pondernet ]] || staged
}

# staged: it trains a lambda module alone, on the rows that a finished run of another method has held out.
staged() {
    [[ "$METHOD" = *_staged ]]
}

# set_gate_defaults TASK: the settings of a second phase, from our own trials with seed 1 of all-MiniLM-L6-v2 on SST-2, MRPC
# and STS-B. A regression's errors are parts of the targets' variance, and larger than the parts of sentences that are wrong.
set_gate_defaults() {
    local beta=0.02 cost=0.01
    [[ "$1" != STS-B ]] || beta=0.2 cost=0.02
    GATE_LR="${GATE_LR:-3e-3}" GATE_BATCH="${GATE_BATCH:-64}" GATE_UPDATES="${GATE_UPDATES:-600}"
    GATE_TARGET="${GATE_TARGET:-error}" GATE_BETA="${GATE_BETA:-$beta}" LAYER_COST="${LAYER_COST:-$cost}"
}

# first_phase: the method whose finished model it goes on from; nothing where training starts from PRETRAINED.
first_phase() {
    case "$METHOD" in
        deebert | fastbert) echo vanilla ;;
        *_staged) echo "${METHOD%_staged}" ;;
    esac
}

# follows: its training is a second phase.
follows() {
    [[ -n "$(first_phase)" ]]
}

# usual_exits TASK: fixed:N is the last layer.
usual_exits() {
    local tolerance="" entropy="entropy:0.3 "
    [[ "$1" != STS-B ]] || tolerance=":0.2" entropy=""
    case "$METHOD" in
        palbert | *_staged) echo "q_exit:0.5 sampling:1 expectation fixed:N" ;;
        pondernet) echo "sampling:1 q_exit:0.5 expectation fixed:N" ;;
        pabee | uniform) echo "patience:2$tolerance fixed:N" ;;
        deebert | fastbert) echo "${entropy}fixed:N" ;;
        berxit) echo "learned:0.2 fixed:N" ;;
        *) echo "fixed:N" ;;
    esac
}

# method_flags LAMBDA_LR BETA: adds to FLAGS.
method_flags() {
    local weights=(--criterion multi_exit_classification --layer-weights) freeze=(--freeze-backbone --keep-classifier)
    case "$METHOD" in
        *_staged)
            # validated and saved by updates, and without a process that loads data: an epoch of few rows takes less than to start it
            FLAGS+=(--train-subset gate --num-workers 0 --validate-interval 1000000 --save-interval 1000000)
            FLAGS+=(--save-interval-updates "$(((GATE_UPDATES + 9) / 10))")
            FLAGS+=(--train-only lambda --lambda-reads both --lambda-width 128 --lambda-depth 1 --criterion ponder_classification)
            FLAGS+=(--halting-target "$GATE_TARGET" --layer-cost "$LAYER_COST" --prior uniform --beta "$GATE_BETA")
            ;;
        palbert | pondernet)
            FLAGS+=(--criterion ponder_classification --beta "$2" --lambda-lr "$1")
            FLAGS+=(${PRIOR_LAMBDA:+--prior-lambda "$PRIOR_LAMBDA"})
            [[ "$METHOD" = palbert ]] || FLAGS+=(--lambda-module linear)
            ;;
        vanilla) FLAGS+=("${weights[@]}" last) ;;
        static*) FLAGS+=("${weights[@]}" last --truncate-encoder --encoder-layers "${METHOD#static}") ;;
        pabee) FLAGS+=("${weights[@]}" linear --per-layer-classifier) ;;
        uniform) FLAGS+=("${weights[@]}" uniform "${EXIT_EACH[@]}") ;;
        deebert) FLAGS+=("${weights[@]}" uniform "${EXIT_EACH[@]}" "${freeze[@]}") ;;
        fastbert)
            FLAGS+=("${weights[@]}" uniform "${EXIT_EACH[@]}" "${freeze[@]}" --distill-weight 1 --distill-kl student_teacher)
            ;;
        berxit) FLAGS+=("${weights[@]}" uniform "${EXIT_EACH[@]}" --alternate-last --learned-exit) ;;
    esac
    ponders || FLAGS+=(--lambda-module none)
}
