# Sourced after cache.sh and needs.sh. `need_wasm` finds or installs what builds the Worker, and `use_wasm` points to it:
# a Rust that compiles to WebAssembly, worker-build and its helpers at the versions that Cargo.lock asks for, and wrangler.

wasm_target=wasm32-unknown-unknown
worker=hosts/cloudflare

need_wasm() {
  has_wasm_std || rustup_wasm_std || debian_wasm_std ||
    lack "Rust's standard library for $wasm_target" "rustup target add $wasm_target"
}

# Sets `worker_node`, a Node.js that runs wrangler.
install_wrangler() {
  local folder
  install_node_packages $worker || return 1
  folder="$(node_folder)"
  worker_node="${folder:+$folder/}node"
}

# Sets what worker-build and wrangler need in the environment, for this shell and what it starts.
use_wasm() {
  local bindgen builder node
  # Before PATH changes: these run on this computer, so its usual compiler builds them.
  builder="$(cargo_tool worker-build "$(locked_version worker)")" &&
    bindgen="$(cargo_tool wasm-bindgen-cli "$(locked_version wasm-bindgen)")" &&
    install_node_packages $worker || return 1
  use_wasm_compiler
  node="$(node_folder)"
  PATH="${node:+$node:}$builder:$PATH"
  export WASM_BINDGEN_BIN="$bindgen/wasm-bindgen"
  export ESBUILD_BIN="$PWD/$worker/node_modules/.bin/esbuild"
  export WASM_OPT_BIN="$PWD/$worker/node_modules/.bin/wasm-opt"
  export WRANGLER_SEND_METRICS=false
}

# Has cargo compile with the compiler to WebAssembly. `usual_path` finds the usual one.
use_wasm_compiler() {
  usual_path="$PATH"
  [ -z "$wasm_rust" ] || export PATH="$wasm_rust:$PATH"
  # Two compilers, and two builds of one standard library, cannot share a folder.
  export CARGO_TARGET_DIR="$PWD/target/wasm-$(cat "$(wasm_libraries)"/libstd-*.rlib | cksum | cut -d ' ' -f 1)"
}

# A folder to put first in PATH, for the Rust that compiles to WebAssembly; empty when it is the usual one.
wasm_rust=""

wasm_libraries() {
  PATH="${wasm_rust:+$wasm_rust:}$PATH" rustc --print target-libdir --target $wasm_target
}

has_wasm_std() {
  ls "$(wasm_libraries)"/libstd-*.rlib >/dev/null 2>&1
}

rustup_wasm_std() {
  command -v rustup >/dev/null && rustup --quiet target add $wasm_target && has_wasm_std
}

# Where rustup's downloads cannot be reached: Debian's second Rust, which is newer than its first and comes with the
# sources of the standard library but without a build of it for WebAssembly.
debian_wasm_std() {
  at_least /usr/bin/rustc 1.91 --version && [ -d /usr/lib/rustlib/src ] ||
    apt_install rustc-web cargo-web rust-web-src rust-web-llvm lld-22 || return 1
  # Only these two: the rest of /usr/bin may be older than what stands before it in PATH.
  wasm_rust="$cache/debian-rust"
  mkdir -p "$wasm_rust" && ln -sf /usr/bin/cargo /usr/bin/rustc "$wasm_rust" || return 1
  [ "$(cat "$(wasm_libraries)/built-by" 2>/dev/null)" = "$(/usr/bin/rustc -vV)" ] || build_wasm_std
}

# Builds the standard library as a part of an empty crate, and puts it where rustc looks for it.
build_wasm_std() {
  local crate="$cache/wasm-std" libraries
  libraries="$(wasm_libraries)" || return 1
  rm -rf "$crate" && mkdir -p "$crate/src" "$libraries" && touch "$crate/src/lib.rs" || return 1
  printf '%s\n' '[package]' 'name = "empty"' 'edition = "2024"' '[workspace]' >"$crate/Cargo.toml"
  # With bitcode, for link-time optimization. `build-std` is an unstable option, which a stable compiler must be told to accept.
  (cd "$crate" && PATH="$wasm_rust:$PATH" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes \
    cargo build --quiet --release --target $wasm_target --target-dir target -Z build-std=std,panic_abort) || return 1
  rm -f "$libraries"/*.rlib "$crate/target/$wasm_target/release/deps"/libempty-*.rlib &&
    cp "$crate/target/$wasm_target/release/deps"/*.rlib "$libraries" &&
    /usr/bin/rustc -vV >"$libraries/built-by" &&
    rm -rf "$crate"
}

# The version of package $1 that the Worker is locked to.
locked_version() {
  awk -v name="name = \"$1\"" '$0 == name { getline; gsub(/version = |"/, ""); print; exit }' "$worker/Cargo.lock"
}

# Installs version $2 of the crate $1 once, and prints the folder of its programs.
cargo_tool() {
  local root="$cache/$1-$2"
  if [ ! -f "$root/.crates.toml" ]; then
    # Its lock file may name a version that a mirror of crates.io does not have, or that was yanked.
    cargo install --quiet --locked --version "$2" --root "$root" "$1" >&2 ||
      cargo install --quiet --version "$2" --root "$root" "$1" >&2 || return 1
  fi
  echo "$root/bin"
}

# The folder of the Node.js that the lock file pins, for wrangler asks for a newer one than the tests; empty where there is none.
node_folder() {
  local folder
  for folder in "$PWD/$worker"/node_modules/node-*/bin; do
    [ -x "$folder/node" ] && echo "$folder" && return
  done
}
