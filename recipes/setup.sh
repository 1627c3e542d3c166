#!/usr/bin/env bash
# Makes the Python environment: $VENV (default: .venv of the repository) with all of requirements.txt, and in it this project,
# editable, with its command palbert.
#
#   recipes/setup.sh [--benchmark]    --benchmark adds recipes/requirements-benchmark.txt
#
# Variables:
#   VENV        where the environment goes (default: .venv)
#   PYTHON      the interpreter that makes it, 3.11 (default: python3.11 or python3, whichever is 3.11)
#   TORCH_SPEC  what to install as torch (default: the torch line of requirements.txt), with pip options where needed,
#               for example TORCH_SPEC="torch==2.13.0 --index-url URL-OF-A-WHEEL-INDEX" for a CPU or another CUDA build;
#               remembered in the environment
#   CXX         the C++ compiler (default: g++)
# Needs: Python 3.11 with its headers, a compiler for C++17, a package index that pip reaches.
# Duration: under 6 minutes from nothing on 2 cores (2 of them compile fairseq); nothing to do: under 3 seconds.
# Killed midway: run it again. Two at once: the second waits for the first.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

REQUIREMENTS="$ROOT/requirements.txt"
BENCHMARK_REQUIREMENTS="$ROOT/recipes/requirements-benchmark.txt"
CXX="${CXX:-g++}"

# What the environment remembers of its set-up.
STAMP="$VENV/.setup-stamp"
UNFINISHED="$VENV/.setup-unfinished"
TORCH_CHOICE="$VENV/.setup-torch"
CONSTRAINTS="$VENV/.setup-constraints"

files=("$REQUIREMENTS")
for argument in "$@"; do
    case "$argument" in
        --benchmark) files+=("$BENCHMARK_REQUIREMENTS") ;;
        *) die "unknown argument $argument: the only one is --benchmark" ;;
    esac
done

# pins GREP-ARGUMENTS: the requirements that match.
pins() {
    grep --no-filename '^[A-Za-z]' "${files[@]}" | grep -E "$@"
}

torch_spec() {
    if [[ -n "${TORCH_SPEC:-}" ]]; then
        echo "$TORCH_SPEC"
    elif [[ -f "$TORCH_CHOICE" ]]; then
        cat "$TORCH_CHOICE"
    else
        pins '^torch=='
    fi
}

# stamp_of FILES: what the stamp of an environment with these requirements says.
stamp_of() {
    { cat "$ROOT/pyproject.toml" "$@" && echo "$torch" && "$VENV/bin/python" -c 'import sys; print(sys.version)'; } | sha256sum
}

up_to_date() {
    local stamp="$STAMP-${#files[@]}"
    [[ ! -e "$UNFINISHED" && -x "$VENV/bin/python" && -f "$stamp" && "$(<"$stamp")" = "$(stamp_of "${files[@]}")" ]]
}

version_of() {
    "$1" -c 'import sys; print("Python %d.%d" % sys.version_info[:2])' 2>/dev/null || echo "no Python that runs"
}

find_python() {
    local candidate
    for candidate in python3.11 python3; do
        if [[ "$(version_of "$candidate")" = "Python 3.11" ]]; then
            echo "$candidate"
            return
        fi
    done
    echo python3
}

check_python() {
    local version
    version="$(version_of "$1")"
    [[ "$version" = "Python 3.11" ]] || die "Python 3.11 is needed, and $1 is $version: $2"
    "$1" -c 'import ensurepip' 2>/dev/null || die "$1 cannot make environments: install its venv module (python3.11-venv)"
}

check_compiler() {
    local include
    "$CXX" -std=c++17 -fsyntax-only -x c++ - <<<'#include <optional>' 2>/dev/null ||
        die "fairseq is compiled here, and '$CXX' does not take C++17: install g++ 9 or newer, or name a compiler in CXX"
    include="$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')"
    [[ -f "$include/Python.h" ]] || die "no Python.h in $include: install the headers of Python 3.11 (python3.11-dev)"
}

# Only what this recipe made is ever cleared.
check_folder() {
    [[ -e "$VENV/pyvenv.cfg" || -e "$UNFINISHED" || ! -e "$VENV" || -z "$(ls -A "$VENV")" ]] ||
        die "VENV=$VENV holds other things: name a new folder"
}

# An installation that was cut off may hold half a package, which pip takes for a whole one: it is made anew.
make_environment() {
    if [[ -e "$UNFINISHED" ]]; then
        log "the last set-up of $VENV was cut off: starting again from nothing"
        "$PYTHON" -m venv --clear "$VENV"
    elif [[ ! -x "$VENV/bin/python" ]]; then
        log "making $VENV with $PYTHON"
        mkdir -p "$VENV"
        touch "$UNFINISHED"
        "$PYTHON" -m venv "$VENV"
    fi
    touch "$UNFINISHED"
    rm -f "$STAMP"-*
}

# fairseq compiles CUDA extensions, which nothing here uses, where CUDA_HOME is set.
pip_install() {
    env -u CUDA_HOME CXX="$CXX" "$VENV/bin/python" -m pip install -qq --disable-pip-version-check "$@"
}

# Everything but torch is installed without resolving: the list is closed. Torch resolves, under the pins, to bring the
# needs of its own platform. Without build isolation, what is compiled uses the tools and the torch that are here.
install() {
    log "installing the build tools"
    pip_install $(pins '^(setuptools|wheel)==')
    log "installing the packages"
    pip_install --no-deps --no-build-isolation $(pins -v '^(torch|fairseq-fixed)==')
    log "installing $torch"
    pins -v '^torch==' >"$CONSTRAINTS"
    pip_install --constraint "$CONSTRAINTS" $torch
    log "installing fairseq (compiles for about 2 minutes)"
    pip_install --no-deps --no-build-isolation $(pins '^fairseq-fixed==')
    pip_install --no-deps --no-build-isolation --editable "$ROOT"
}

check_imports() {
    local modules="torch, fairseq, hydra, tokenizers, sentencepiece, tensorboard, matplotlib, scipy, sklearn, pytest" output
    if [[ ${#files[@]} -gt 1 ]]; then
        modules+=", transformers"
    fi
    output="$(cd "$VENV" && bin/python -c "import $modules" 2>&1)" ||
        die "the environment in $VENV does not import: $(tail -n 1 <<<"$output")"
}

finish() {
    if [[ -n "${TORCH_SPEC:-}" ]]; then
        echo "$TORCH_SPEC" >"$TORCH_CHOICE"
    fi
    local count
    for ((count = 1; count <= ${#files[@]}; count++)); do
        stamp_of "${files[@]:0:count}" >"$STAMP-$count"
    done
    rm -f "$UNFINISHED"
    log "ready: $VENV"
}

if command -v flock >/dev/null; then
    exec 9<"$REQUIREMENTS"
    flock 9
fi
torch="$(torch_spec)"
if up_to_date; then
    exit 0
fi
PYTHON="${PYTHON:-$(find_python)}"
check_python "$PYTHON" "name a Python 3.11 in PYTHON"
if [[ -x "$VENV/bin/python" ]]; then
    check_python "$VENV/bin/python" "remove $VENV, or name another folder in VENV"
fi
check_compiler
check_folder
make_environment
install
check_imports
finish
