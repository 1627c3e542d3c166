#!/usr/bin/env bash
# Fine-tuning against transformers in a plain training loop: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
require_benchmark_packages
run_module recipes.benchmark_finetuning "$@"
