#!/usr/bin/env bash
# Builds the Worker of the folder $1, or Deputy, into its folder build/, with what it takes to do so. wrangler runs this.
[ -z "${WORKER_IS_BUILT:-}" ] || exit 0
cd "$(dirname "$0")/../.." || exit 1
. scripts/cache.sh
. scripts/needs.sh
. scripts/wasm.sh
need_rust
need_node
need_wasm
stop_if_missing
use_wasm || exit 1
build_worker "${1:-.}"
