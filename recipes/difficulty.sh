#!/usr/bin/env bash
# Exit layers held against an independent measure of difficulty: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.difficulty "$@"
