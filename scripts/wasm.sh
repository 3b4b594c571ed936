# Sourced after cache.sh and needs.sh. Finds or installs what builds and runs the Workers: Rust's target for WebAssembly,
# worker-build and wasm-bindgen at the versions in the Workers' Cargo.lock, and wrangler.

wasm_target=wasm32-unknown-unknown
workers=hosts/cloudflare

need_wasm() {
  has_wasm_target || { command -v rustup >/dev/null && rustup --quiet target add $wasm_target; } ||
    lack "Rust's target $wasm_target" "rustup target add $wasm_target, with a Rust installed by rustup, see https://rustup.rs"
}

has_wasm_target() {
  ls "$(rustc --print target-libdir --target $wasm_target)"/libstd-*.rlib >/dev/null 2>&1
}

# Sets `worker_node`, a Node.js that runs wrangler.
install_wrangler() {
  local folder
  install_node_packages $workers || return 1
  folder="$(node_folder)"
  worker_node="${folder:+$folder/}node"
}

# Sets the environment of worker-build and wrangler, for this shell and its children.
use_wasm_tools() {
  local bindgen builder node
  builder="$(cargo_tool worker-build "$(locked_version worker)")" &&
    bindgen="$(cargo_tool wasm-bindgen-cli "$(locked_version wasm-bindgen)")" &&
    install_node_packages $workers || return 1
  node="$(node_folder)"
  PATH="${node:+$node:}$builder:$PATH"
  export WASM_BINDGEN_BIN="$bindgen/wasm-bindgen"
  export ESBUILD_BIN="$PWD/$workers/node_modules/.bin/esbuild"
  export WASM_OPT_BIN="$PWD/$workers/node_modules/.bin/wasm-opt"
  export WRANGLER_SEND_METRICS=false
}

# Prints the version of package $1 in the Workers' Cargo.lock, or in the lock file $2.
locked_version() {
  awk -v name="name = \"$1\"" '$0 == name { getline; gsub(/version = |"/, ""); print; exit }' "${2:-$workers/Cargo.lock}"
}

# Installs version $2 of the crate $1 in the cache, and prints the folder of its programs.
cargo_tool() {
  local root="$cache/$1-$2"
  if [ ! -f "$root/.crates.toml" ]; then
    # Without --locked if the registry no longer has a version in the crate's own lock file.
    cargo install --quiet --locked --version "$2" --root "$root" "$1" >&2 ||
      cargo install --quiet --version "$2" --root "$root" "$1" >&2 || return 1
  fi
  echo "$root/bin"
}

# Prints the folder of the Node.js in the lock file: wrangler needs a newer one than the tests. Prints nothing on platforms
# without such a package.
node_folder() {
  local folder
  for folder in "$PWD/$workers"/node_modules/node-*/bin; do
    [ -x "$folder/node" ] && echo "$folder" && return
  done
}
