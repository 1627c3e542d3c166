#!/usr/bin/env bash
# A trained model in every precision on a whole split: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.benchmark_dtypes "$@"
