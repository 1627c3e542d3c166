#!/usr/bin/env bash
# Speed and memory of palbert predict on a million sentences: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.benchmark_predict "$@"
