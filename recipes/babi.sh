#!/usr/bin/env bash
# The 20 bAbI tasks by a small Transformer that applies one layer up to N times: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.babi "$@"
