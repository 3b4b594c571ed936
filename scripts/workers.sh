# Sourced after wasm.sh. Builds the Workers, runs the testing Worker, and prints the size of the deployed one.

# Builds the Workers in the folders $@ of hosts/cloudflare, each into its folder build/, in a subshell, so that the
# environment of the build does not reach the tests.
build_workers() (
  use_wasm_tools || exit 1
  name_build
  for folder in "$@"; do
    (cd "$workers/$folder" && worker-build --release) && add_entry "$workers/$folder" &&
      add_objects "$workers/$folder" || exit 1
  done
)

# Names the commit of the source, as hosts/native/build.rs does, and the profile and the platform.
name_build() {
  local archived
  archived="$(grep -xE '[0-9a-f]+' hosts/native/commit)"
  DEPUTY_COMMIT="${DEPUTY_COMMIT:-${archived:-$(git rev-parse --short=12 HEAD 2>/dev/null)}}"
  [ -z "$DEPUTY_COMMIT" ] && unset DEPUTY_COMMIT || export DEPUTY_COMMIT
  export DEPUTY_BUILD="release $wasm_target"
}

# Adds the main module to the Worker in the folder $1: its own src/index.js, or else that of most Workers.
add_entry() {
  local main="$1/src/index.js"
  [ -f "$main" ] || main="$workers/runtime/src/index.js"
  mv "$1/build/index.js" "$1/build/module.js" && cp "$main" "$workers/runtime/src/entry.js" "$1/build/"
}

# Adds the classes of the Durable Objects, which are in JavaScript, to the built Worker in the folder $1 if it is a Deputy.
add_objects() {
  local deployed="$workers/adapter/src/record_object.js" own="$1/record_object.js"
  grep -q '^deputy-workers' "$1/Cargo.toml" || return 0
  if [ -f "$own" ]; then
    cp "$deployed" "$1/build/deployed_record_object.js" && cp "$own" "$1/build/record_object.js"
  else
    cp "$deployed" "$1/build/record_object.js"
  fi && echo 'export { RecordObject } from "./record_object.js";' >>"$1/build/index.js" || return 1
  cp "$workers/adapter/src/grant_index_object.js" "$1/build/" &&
    echo 'export { GrantIndexObject } from "./grant_index_object.js";' >>"$1/build/index.js"
}

# Starts the testing Worker. Sets DEPUTY_WORKER, its URL, and DEPUTY_WORKER_DATA, the folder of its records and its log.
start_testing_worker() {
  local port tries
  port="$(free_port)" || return 1
  DEPUTY_WORKER_DATA="$(mktemp -d)"
  DEPUTY_WORKER="http://127.0.0.1:$port"
  export DEPUTY_WORKER DEPUTY_WORKER_DATA
  (
    cd "$workers/testing" || exit 1
    export WORKER_IS_BUILT=1 WRANGLER_SEND_METRICS=false CI=1
    exec "$worker_node" ../node_modules/wrangler/bin/wrangler.js dev --config wrangler.jsonc --ip 127.0.0.1 --port "$port" \
      --persist-to "$DEPUTY_WORKER_DATA" --show-interactive-dev-session=false --inspector-port 0
  ) >"$DEPUTY_WORKER_DATA/log" 2>&1 &
  testing_worker=$!
  trap stop_testing_worker EXIT
  for tries in $(seq 300); do
    curl --silent --output /dev/null "$DEPUTY_WORKER/test/constant" && return
    kill -0 $testing_worker 2>/dev/null || break
    sleep 0.2
  done
  cat "$DEPUTY_WORKER_DATA/log" >&2
  return 1
}

stop_testing_worker() {
  [ -n "${testing_worker:-}" ] || return 0
  kill $testing_worker 2>/dev/null
  wait $testing_worker 2>/dev/null
  rm -rf "$DEPUTY_WORKER_DATA"
  unset testing_worker DEPUTY_WORKER DEPUTY_WORKER_DATA
}

free_port() {
  node -e 'const server = require("net").createServer().listen(0, () => { console.log(server.address().port); server.close(); })'
}

# Prints the size of the deployed Worker, and how long V8 takes to compile it.
print_worker() {
  local module="$workers/worker/build/index_bg.wasm"
  "$worker_node" -e '
    const bytes = require("fs").readFileSync(process.argv[1]);
    const times = [];
    for (let round = 0; round < 5; round += 1) {
      const begin = performance.now();
      new WebAssembly.Module(bytes);
      times.push(performance.now() - begin);
    }
    const median = times.sort((one, other) => one - other)[2].toFixed(1);
    const gzip = require("zlib").gzipSync(bytes, { level: 9 }).length;
    console.log(`Worker: ${bytes.length} bytes of WebAssembly, ${gzip} after gzip, compiled in ${median} ms`);
  ' "$module"
}
