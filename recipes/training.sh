# Sourced by recipes that train: settings from the table, fairseq's flags, processes.

HYPERPARAMETERS="$ROOT/recipes/hyperparameters.tsv"

# known_tasks: every task of the table, once.
known_tasks() {
    awk -F '\t' '/^palbert/ && $2 != "*" && !seen[$2]++ { print $2 }' "$HYPERPARAMETERS" | paste -s -d ' '
}

# read_hyperparameters ARCH TASK: the table's row as the associative array SETTING; that of ARCH, else of its family, and
# of TASK, else of *.
declare -A SETTING
read_hyperparameters() {
    local names values row family
    family="$(cut -d _ -f 1-2 <<<"$1")"
    row="$(awk -F '\t' -v arch="$1" -v family="$family" -v task="$2" '
        ($1 == arch || $1 == family) && ($2 == task || $2 == "*") {
            rank = 2 * ($1 == arch) + ($2 == task) + 1
            if (rank > best) { best = rank; row = $0 }
        }
        END { if (best) print row }' "$HYPERPARAMETERS")"
    [[ -n "$row" ]] || die "$HYPERPARAMETERS has no row for ARCH=$1 and $2: add one"
    IFS=$'\t' read -ra names <<<"$(grep -m 1 '^arch' "$HYPERPARAMETERS")"
    IFS=$'\t' read -ra values <<<"$row"
    for i in "${!names[@]}"; do
        SETTING["${names[i]}"]="${values[i]}"
    done
}

# positive NAME...: each of these variables is a whole number above 0.
positive() {
    local name
    for name in "$@"; do
        [[ "${!name}" =~ ^[1-9][0-9]*$ ]] || die "$name=${!name} is no whole number above 0"
    done
}

# not_negative NAME...: each of these variables is a number, or a list of numbers, from 0 on.
not_negative() {
    local name number
    for name in "$@"; do
        for number in ${!name}; do
            [[ "$number" =~ ^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$ ]] || die "$name=${!name} is no number from 0 on"
        done
    done
}

# one_of NAME VALUE...: the variable has one of these values.
one_of() {
    local name="$1"
    shift
    [[ " $* " = *" ${!name} "* ]] || die "$name=${!name}: choose from $*"
}

# choose_devices: WORLD (workers) and DEVICE_FLAGS from NUM_GPUS and CPU_WORKERS; limits the visible GPUs to NUM_GPUS.
choose_devices() {
    local gpus=()
    if command -v nvidia-smi >/dev/null; then
        mapfile -t gpus < <(nvidia-smi --query-gpu=index --format=csv,noheader 2>/dev/null)
    fi
    if [[ -n "${CUDA_VISIBLE_DEVICES+set}" ]]; then
        IFS=, read -ra gpus <<<"$CUDA_VISIBLE_DEVICES"
    fi
    if ((CPU_WORKERS > 0)); then
        NUM_GPUS="${NUM_GPUS:-0}"
    fi
    NUM_GPUS="${NUM_GPUS:-$((${#gpus[@]} > 0))}"
    [[ "$NUM_GPUS" =~ ^[0-9]+$ ]] || die "NUM_GPUS=$NUM_GPUS is no whole number"
    ((NUM_GPUS == 0 || CPU_WORKERS == 0)) || die "NUM_GPUS=$NUM_GPUS and CPU_WORKERS=$CPU_WORKERS: choose one of them"
    ((NUM_GPUS <= ${#gpus[@]})) || die "NUM_GPUS=$NUM_GPUS, but this machine shows ${#gpus[@]}: lower it, or train with NUM_GPUS=0"
    if ((NUM_GPUS > 0)); then
        WORLD="$NUM_GPUS" DEVICE_FLAGS=()
        CUDA_VISIBLE_DEVICES="$(IFS=,; echo "${gpus[*]:0:NUM_GPUS}")"
        export CUDA_VISIBLE_DEVICES
    else
        WORLD="$((CPU_WORKERS > 1 ? CPU_WORKERS : 1))" DEVICE_FLAGS=(--cpu)
    fi
}

# split_batch: BATCH_FLAGS from BATCH, the sentences of one update, divided among WORLD workers and UPDATE_FREQ steps.
split_batch() {
    local parts=$((WORLD * UPDATE_FREQ))
    ((BATCH % parts == 0)) || die "BATCH=$BATCH sentences do not divide into $WORLD workers x UPDATE_FREQ=$UPDATE_FREQ"
    BATCH_FLAGS=(--batch-size $((BATCH / parts)) --update-freq "$UPDATE_FREQ")
}

free_port() {
    "$VENV/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# end_children: what is still running in the background ends with the recipe, and before it.
end_children() {
    local children
    children="$(jobs -p)"
    if [[ -n "$children" ]]; then
        kill $children 2>/dev/null || true
        wait || true
    fi
}
trap end_children EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# fairseq_train LOG FLAGS...: trains in one process, on the visible GPUs, or in CPU_WORKERS processes over gloo, and stops
# all of them where one fails. Output is appended to LOG, that of workers after the first to LOG.1, LOG.2, ...
fairseq_train() {
    local first_log="$1" log="$1" rank finished status
    local -A logs
    shift
    # What fairseq sends to other workers instead is refused by torch 2.6 and later.
    set -- "$@" --load-checkpoint-on-all-dp-ranks
    if ((NUM_GPUS > 0 || WORLD == 1)); then
        "$VENV/bin/fairseq-train" "$@" >>"$log" 2>&1 &
        logs[$!]="$log"
    else
        local group=(
            --distributed-backend gloo --ddp-backend legacy_ddp --distributed-world-size "$WORLD" --distributed-no-spawn
            --distributed-init-method "tcp://127.0.0.1:$(free_port)"
        )
        local threads="${OMP_NUM_THREADS:-$(((($(nproc) - 1) / WORLD) + 1))}"
        for ((rank = 0; rank < WORLD; rank++)); do
            OMP_NUM_THREADS="$threads" "$VENV/bin/fairseq-train" "$@" "${group[@]}" --distributed-rank "$rank" >>"$log" 2>&1 &
            logs[$!]="$log"
            log="$first_log.$((rank + 1))"
        done
    fi
    while ((${#logs[@]} > 0)); do
        status=0
        wait -n -p finished || status=$?
        log="${logs[$finished]}"
        unset "logs[$finished]"
        ((status != 0)) || continue
        end_children
        ((status <= 128)) || die "training was ended by signal $((status - 128)) (its log: $log)"
        die "training failed: $(tail -n 1 "$log") (the whole log: $log)"
    done
}
