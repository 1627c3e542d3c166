#!/usr/bin/env bash
# A training step against one of stock roberta_base: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.benchmark_training "$@"
