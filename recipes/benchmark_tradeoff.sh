#!/usr/bin/env bash
# The scores of trained models against measured milliseconds a sentence: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.benchmark_tradeoff "$@"
