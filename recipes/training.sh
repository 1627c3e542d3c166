# Sourced by recipes that train: settings from the table, fairseq's flags, processes.

# read_hyperparameters ARCH TASK: the table's row as the associative array SETTING.
declare -A SETTING
read_hyperparameters() {
    local table="$ROOT/recipes/hyperparameters.tsv" names values row
    row="$(awk -F '\t' -v arch="$1" -v task="$2" '$1 == arch && $2 == task' "$table")"
    [[ -n "$row" ]] || die "$table has no row for ARCH=$1 and $2: add one"
    IFS=$'\t' read -ra names <<<"$(grep -m 1 '^arch' "$table")"
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

# batch_flags BATCH: the table's sentences per update, divided among WORLD workers and UPDATE_FREQ steps.
batch_flags() {
    local parts=$((WORLD * UPDATE_FREQ))
    (($1 % parts == 0)) || die "a batch of $1 sentences does not divide into $WORLD workers x UPDATE_FREQ=$UPDATE_FREQ: set BATCH"
    echo --batch-size $(($1 / parts)) --update-freq "$UPDATE_FREQ"
}

free_port() {
    "$VENV/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# end_children: what is still running in the background ends with the recipe.
end_children() {
    local children
    children="$(jobs -p)"
    [[ -z "$children" ]] || kill $children 2>/dev/null || true
}
trap end_children EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_for_all COUNT: waits for so many background processes; ends the others where one fails.
wait_for_all() {
    local i
    for ((i = 0; i < $1; i++)); do
        if ! wait -n; then
            end_children
            wait
            return 1
        fi
    done
}

# fairseq_train LOG FLAGS...: trains in one process, on the visible GPUs, or in CPU_WORKERS processes over gloo.
# Output is appended to LOG, that of workers after the first to LOG.1, LOG.2, ...
fairseq_train() {
    local log="$1" rank
    shift
    if ((NUM_GPUS > 0 || WORLD == 1)); then
        "$VENV/bin/fairseq-train" "$@" >>"$log" 2>&1 &
        wait_for_all 1
        return
    fi
    local group=(
        --distributed-backend gloo --ddp-backend legacy_ddp --distributed-world-size "$WORLD" --distributed-no-spawn
        --distributed-init-method "tcp://127.0.0.1:$(free_port)"
    )
    local threads="${OMP_NUM_THREADS:-$(((($(nproc) - 1) / WORLD) + 1))}"
    for ((rank = 0; rank < WORLD; rank++)); do
        OMP_NUM_THREADS="$threads" "$VENV/bin/fairseq-train" "$@" "${group[@]}" --distributed-rank "$rank" \
            >>"$log$( ((rank == 0)) || echo ".$rank")" 2>&1 &
    done
    wait_for_all "$WORLD"
}
