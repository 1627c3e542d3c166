#!/usr/bin/env bash
# How fast a model runs, with and without early exit: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
require_benchmark_packages
run_module recipes.benchmark "$@"
