#!/usr/bin/env bash
# Whether the memory of palbert predict stays flat: generated sentences of 1 to 60 words go into it through a pipe, to a tiny
# random model with a vocabulary of 512 made on the spot, and its resident memory is read many times a second.
#
#   recipes/benchmark_predict.sh
#
# Inputs:    none. Variables: SENTENCES (default 1000000).
# Outputs:   one JSON object on stdout: seconds, sentences per second, resident MiB after each tenth of the sentences, its peaks
#            by the end of the first tenth and after it, and their ratio. Exit status 1 where that is above 1.10.
# Duration:  about 2 minutes and 0.5 GiB on 2 cores.

set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

parse_stages "$@"
require_environment
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"$VENV/bin/python" "$ROOT/recipes/benchmark_predict.py" --work "$work" --sentences "${SENTENCES:-1000000}"
