#!/usr/bin/env bash
# Peak memory of training, scoring and exporting base-sized models: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.benchmark_memory "$@"
