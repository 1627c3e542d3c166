#!/usr/bin/env bash
# PonderNet, ACT and a recurrent network of fixed steps on parity: see --help.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" # JOBS runs train at once
run_module recipes.parity "$@"
