#!/usr/bin/env bash
# Preprocessing against fairseq's own script: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.benchmark_preprocess "$@"
