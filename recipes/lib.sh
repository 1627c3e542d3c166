# Sourced by every recipe, after `set -euo pipefail`: where things are, how to log, how to stop, how to run a stage.
#
# Sets ROOT (the repository) and VENV (the environment: run "$VENV/bin/python"), and exports PYTHONPATH.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="${VENV:-$ROOT/.venv}"
[[ "$VENV" = /* ]] || VENV="$PWD/$VENV"
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

# require_environment: stops where recipes/setup.sh has not made the environment.
require_environment() {
    [[ -x "$VENV/bin/python" ]] || die "no Python environment in $VENV: run recipes/setup.sh first"
}

# parse_stages ARGUMENTS: takes --stage N, --stop-stage N and --help out of the arguments; the others are left in ARGUMENTS.
parse_stages() {
    FIRST_STAGE=1 LAST_STAGE=99 ARGUMENTS=()
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

# claim_run_dir: makes RUN_DIR, and holds it until this process and all it started have ended.
claim_run_dir() {
    mkdir -p "$RUN_DIR/stages" 2>/dev/null || die "cannot write to RUN_DIR=$RUN_DIR"
    RUN_DIR="$(cd "$RUN_DIR" && pwd)"
    exec 8>"$RUN_DIR/.lock"
    if command -v flock >/dev/null && ! flock --nonblock 8; then
        die "another process is at work in $RUN_DIR (it may have outlived its recipe): wait for it, or end it"
    fi
}

# wanted NUMBER: whether --stage and --stop-stage leave the stage in.
wanted() {
    (($1 >= FIRST_STAGE && $1 <= LAST_STAGE))
}

# stage NUMBER NAME SETTINGS COMMAND...: runs COMMAND, unless the stage is not wanted, or done.
# RUN_DIR/stages/NAME.settings says what it was begun with, and a run with other settings is refused;
# RUN_DIR/stages/NAME.done appears only after success.
stage() {
    local number="$1" name="$2" settings="$3" record="$RUN_DIR/stages/$2"
    shift 3
    wanted "$number" || return 0
    if [[ -e "$record.settings" && "$(<"$record.settings")" != "$settings" ]]; then
        die "$RUN_DIR was begun with other settings ($record.settings): choose another RUN_DIR, or remove $record.* and what it left"
    fi
    if [[ -e "$record.done" ]]; then
        log "stage $number, $name: done before"
        return 0
    fi
    log "stage $number, $name"
    printf '%s\n' "$settings" >"$record.part"
    mv "$record.part" "$record.settings"
    "$@"
    touch "$record.done"
}

# forget_if_changed NAME SETTINGS SOURCE: the stage is to be done again where it had other settings, or SOURCE is newer.
forget_if_changed() {
    local record="$RUN_DIR/stages/$1"
    [[ -e "$record.settings" ]] || return 0
    if [[ "$(<"$record.settings")" != "$2" || "$3" -nt "$record.done" ]]; then
        rm -f "$record.settings" "$record.done"
    fi
}
