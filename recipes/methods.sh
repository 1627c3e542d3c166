# Sourced by recipes/glue_task.sh: what METHOD means in fairseq's flags, which exits it is scored by, and whether it goes on
# from the vanilla run of the same task and seed.

METHOD="${METHOD:-palbert}"
METHODS="palbert pondernet pabee uniform deebert fastbert berxit vanilla static1 static2 ..."
EXIT_EACH=(--per-layer-pooler --per-layer-classifier)

check_method() {
    [[ "$METHOD" =~ ^(palbert|pondernet|pabee|uniform|deebert|fastbert|berxit|vanilla|static[1-9][0-9]*)$ ]] ||
        die "METHOD=$METHOD: choose from $METHODS"
}

ponders() {
    [[ "$METHOD" = palbert || "$METHOD" = pondernet ]]
}

# follows_vanilla: its training is a second phase, on the frozen backbone of METHOD=vanilla.
follows_vanilla() {
    [[ "$METHOD" = deebert || "$METHOD" = fastbert ]]
}

# usual_exits TASK: fixed:N is the last layer.
usual_exits() {
    local tolerance="" entropy="entropy:0.3 "
    [[ "$1" != STS-B ]] || tolerance=":0.2" entropy=""
    case "$METHOD" in
        palbert) echo "q_exit:0.5 sampling:1 expectation fixed:N" ;;
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
