#!/usr/bin/env bash
# Builds the Worker in the folder $1, by default the deployed one, into its folder build/, and installs the tools for that.
# wrangler runs this.
[ -z "${WORKER_IS_BUILT:-}" ] || exit 0
case "${1:-}" in
  testing | conformance | ../../tests/*)
    # `./dev test` builds them without wrangler, so this is an attempt to deploy one.
    echo "The Worker in hosts/cloudflare/$1 is for tests, and not safe in public. It is never deployed." >&2
    exit 1
    ;;
esac
cd "$(dirname "$0")/../.." || exit 1
. scripts/cache.sh
. scripts/needs.sh
. scripts/wasm.sh
. scripts/workers.sh
# Cloudflare's build environment has everything except Rust.
if [ -n "${WORKERS_CI:-}" ] && ! command -v cargo >/dev/null; then
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal && . "$HOME/.cargo/env" || exit 1
fi
need_rust
need_node
need_wasm
stop_if_missing
build_workers "${1:-worker}"
