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

# require_environment: stops where recipes/setup.sh has not made the environment.
require_environment() {
    [[ -x "$VENV/bin/python" ]] || die "no Python environment in $VENV: run recipes/setup.sh first"
}
