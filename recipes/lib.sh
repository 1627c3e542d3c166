# Sourced by every recipe, after `set -euo pipefail`: where things are, how to log, how to stop, which stages to run.
#
# Sets ROOT (the repository) and VENV (the environment: run "$VENV/bin/python" -P), and exports PYTHONPATH.

unset CDPATH

# absolute PATH: prints it with the current folder before it, so that it never begins with a dash.
absolute() {
    [[ "$1" = /* ]] && printf '%s\n' "$1" || printf '%s\n' "$PWD/$1"
}

ROOT="$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")"
VENV="${VENV:-$ROOT/.venv}"
VENV="$(absolute "$VENV")"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONNOUSERSITE=1

# log WORDS...: a line with the time, on stderr.
log() {
    printf '%(%F %T)T | %s\n' -1 "$*" >&2
}

# die WORDS...: one line that says what is wrong, where, and what to do; exit status 1.
die() {
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 501)) || die "bash 5.1 or newer is needed, and this is $BASH_VERSION"

# usage: the header comment of the recipe.
usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

# require_environment: stops where recipes/setup.sh has not made the environment, or not to its end.
require_environment() {
    [[ -x "$VENV/bin/python" ]] || die "no Python environment in $VENV: run recipes/setup.sh first"
    [[ ! -e "$VENV/.setup-unfinished" ]] || die "the set-up of $VENV has not ended: run recipes/setup.sh, or wait for it"
}

# require_benchmark_packages: stops where recipes/setup.sh --benchmark has not installed them.
require_benchmark_packages() {
    require_environment
    "$VENV/bin/python" -P -c 'import transformers, onnxruntime' 2>/dev/null ||
        die "transformers or onnxruntime is not installed: run recipes/setup.sh --benchmark"
}

# run_module MODULE ARGUMENTS...: becomes that Python module, on every core where OMP_NUM_THREADS is not set. With -P,
# no file of the current folder takes the place of a module.
run_module() {
    require_environment
    export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}"
    exec "$VENV/bin/python" -P -m "$@"
}

# run_all TASK...: recipes/glue_task.sh for each of ARGUMENTS, by default for each TASK, then one table over all. Goes
# on after a task that fails, and stops at the end with the names of those.
run_all() {
    local tasks=("${ARGUMENTS[@]}") task start found scored=() failed=() method="/${METHOD:-palbert}"
    [[ ${#tasks[@]} -gt 0 ]] || tasks=("$@")
    require_environment
    start="$("$VENV/bin/python" -P -m fairseq_palbert.experiment.pretrained --arch="${ARCH:-}" \
        --vocab-dir="${VOCAB_DIR:-}" --pretrained-dir="${PRETRAINED_DIR:-$ROOT/runs/pretrained}" -- "${PRETRAINED:-}")"
    RUN_DIR="$(absolute "${RUN_DIR:-$ROOT/runs/${start%%$'\n'*}${method#/palbert}}")"
    for task in "${tasks[@]}"; do
        log "$task"
        RUN_DIR="$RUN_DIR/$task" "$ROOT/recipes/glue_task.sh" "$task" \
            --stage "$FIRST_STAGE" --stop-stage "$LAST_STAGE" || failed+=("$task")
        for found in "$RUN_DIR/$task"{,/cost*}/seed*/scores; do
            [[ ! -d "$found" ]] || scored+=("${found%/seed*}")
        done
    done
    [[ ${#scored[@]} -eq 0 ]] ||
        "$VENV/bin/python" -P -m fairseq_palbert.experiment.results "${scored[@]}" --out "$RUN_DIR/results.tsv"
    [[ ${#failed[@]} -eq 0 ]] || die "failed: ${failed[*]} (see above)"
}

# parse_stages ARGUMENTS: takes --stage N, --stop-stage N and --help out of the arguments, and leaves the others in
# ARGUMENTS.
parse_stages() {
    FIRST_STAGE=1 LAST_STAGE=6 ARGUMENTS=()
    while (($#)); do
        case "$1" in
            --stage | --stop-stage)
                [[ "${2:-}" =~ ^[0-9]+$ ]] || die "$1 needs the number of a stage, not '${2:-}'"
                if [[ "$1" = --stage ]]; then FIRST_STAGE="$2"; else LAST_STAGE="$2"; fi
                shift 2
                ;;
            --help | -h)
                usage
                exit 0
                ;;
            -*) die "unknown flag $1: see $(basename "$0") --help" ;;
            *)
                ARGUMENTS+=("$1")
                shift
                ;;
        esac
    done
}
