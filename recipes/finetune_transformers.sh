#!/usr/bin/env bash
# A plain fine-tuning by transformers, to compare a task's scores with: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
require_benchmark_packages
run_module recipes.finetune_transformers "$@"
