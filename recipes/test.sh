#!/usr/bin/env bash
# Set-up, lint (ruff), then the tests. Arguments go to pytest.
#
#   recipes/test.sh                          every test but those marked slow, gpu or benchmark
#   recipes/test.sh tests/ponder -k geometric
#   recipes/test.sh -m slow
#
# Variables: GLUE_DIR (raw GLUE, one folder a task), VOCAB_DIR (gpt2_bpe/, ...) and OTHER_DATA_DIR (banking77/, TREC/,
# MNLI_dev/): tests on real data skip without them; WORKERS (default: the number of cores, 4 at most).
# Duration: 10 minutes on 2 cores of an EPYC without AVX-512, after 2 of set-up.

set -euo pipefail
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

if [[ "${1-}" == --help ]]; then
    usage
    exit
fi

"$ROOT/recipes/setup.sh"

cores="$(env -u OMP_NUM_THREADS nproc)"  # nproc would follow that variable
WORKERS="${WORKERS:-$((cores < 4 ? cores : 4))}"
# Tests are small: one thread each, and the cores go to the workers.
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export TOKENIZERS_PARALLELISM=false

cd "$ROOT"
"$VENV/bin/ruff" check --quiet
# in the order of tests/conftest.py, since the files with the fewest tests, e2e, are among the longest
exec "$VENV/bin/python" -m pytest -n "$WORKERS" --dist loadfile --no-loadscope-reorder "$@" </dev/null
