#!/usr/bin/env bash
# Makes the Python environment: $VENV (default: .venv of the repository) with all of requirements.txt, and in it this
# project, editable, with its command palbert.
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
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

version_of() {
    { "$1" --version || echo "no Python that runs"; } 2>/dev/null
}

# check_python INTERPRETER REMEDY: stops where it is no Python 3.11.
check_python() {
    [[ "$(version_of "$1")" = "Python 3.11."* ]] ||
        die "Python 3.11 is needed, and $1 is $(version_of "$1"): $2"
}

case "$*" in
    "" | --benchmark) ;;
    --help | -h) usage && exit 0 ;;
    *) die "unknown argument $*: the only one is --benchmark" ;;
esac
if [[ -x "$VENV/bin/python" ]]; then
    check_python "$VENV/bin/python" "remove $VENV, or name another folder in VENV"
fi
for candidate in python3.11 python3 "$VENV/bin/python"; do
    [[ -n "${PYTHON:-}" || "$(version_of "$candidate")" != "Python 3.11."* ]] || PYTHON="$candidate"
done
check_python "${PYTHON:=python3}" "name a Python 3.11 in PYTHON"
exec "$PYTHON" -P -m recipes.environment "$VENV" "$@"
