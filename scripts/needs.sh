# Sourced after cache.sh. Finds the programs that the tests need, installs those that it may, and names the others.

# Not empty if system packages may be installed: in CI, and in `./dev setup`.
may_install="${CI:-}"

missing=""

# Records that $1 is missing; $2 says how to install it.
lack() {
  missing="$missing
  $1: $2"
}

# Installs the Debian packages $@, if that is allowed and possible: as root, with apt-get.
apt_install() {
  [ -n "$may_install" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  if [ -z "${apt_updated:-}" ]; then
    apt-get update -qq || return 1
    apt_updated=yes
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Succeeds if command $1 exists and prints, given the arguments after $2, version $2 (major.minor) or a later one.
at_least() {
  local command="$1" least="$2" found
  shift 2
  found="$("$command" "$@" 2>/dev/null | sed -n 's/^[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | head -n 1)"
  [ -n "$found" ] || return 1
  set -- $found "${least%.*}" "${least#*.}"
  [ "$1" -gt "$3" ] || { [ "$1" -eq "$3" ] && [ "$2" -ge "$4" ]; }
}

need_rust() {
  command -v cargo >/dev/null || lack cargo "install Rust, see https://rustup.rs"
  command -v cc >/dev/null || apt_install gcc libc6-dev ||
    lack "a C compiler" "apt-get install gcc libc6-dev, or on macOS xcode-select --install"
}

need_fuzzer() {
  command -v c++ >/dev/null || apt_install g++ ||
    lack "a C++ compiler" "apt-get install g++, or on macOS xcode-select --install"
}

need_valgrind() {
  command -v valgrind >/dev/null || apt_install valgrind libc6-dbg || lack valgrind "apt-get install valgrind"
}

# Sets `cargo_fuzz`.
install_cargo_fuzz() {
  local version=0.13.2 root
  root="$cache/cargo-fuzz-$version"
  cargo_fuzz="$root/bin/cargo-fuzz"
  [ -x "$cargo_fuzz" ] || cargo install --quiet --locked --version "$version" --root "$root" cargo-fuzz
}

need_node() {
  at_least node 20.0 --version ||
    lack "node 20 or newer" "install it from your system's packages, with brew install node, or from https://nodejs.org"
  command -v npm >/dev/null || lack npm "it comes with Node.js; on Debian it is a package of its own, npm"
}

need_python() {
  at_least python3 3.10 --version || lack "python3 3.10 or newer" "apt-get install python3, or brew install python"
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv ||
    lack "Python's venv" "apt-get install python3-venv"
}

# Sets `chromium`.
find_chromium() {
  local candidate
  for candidate in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable \
    "/Applications/Chromium.app/Contents/MacOS/Chromium" \
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
    [ -n "$candidate" ] && chromium="$(command -v "$candidate")" && return 0
  done
  return 1
}

need_chromium() {
  find_chromium || { apt_install chromium fonts-liberation && find_chromium; } ||
    lack "Chromium or Chrome" "apt-get install chromium, or brew install --cask google-chrome, or set CHROMIUM to its path"
}

# It loads the alert rules. The package also has the server, which the tests do not use.
need_promtool() {
  command -v promtool >/dev/null || apt_install prometheus ||
    lack promtool "apt-get install prometheus, or brew install prometheus"
}

# Debian's programs of PostgreSQL are not in PATH.
need_postgres() {
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || apt_install postgresql ||
    lack PostgreSQL "apt-get install postgresql, or brew install postgresql, or set DEPUTY_POSTGRES to the folder of its programs"
  command -v openssl >/dev/null || apt_install openssl || lack openssl "apt-get install openssl"
}

need_haproxy() {
  command -v haproxy >/dev/null || apt_install haproxy || lack HAProxy "apt-get install haproxy, or brew install haproxy"
}

# Checks the unit in docs/native.md. Where it cannot be had, as on macOS, that test is skipped and says so.
need_systemd() {
  [ "$(uname)" != Linux ] || command -v systemd-analyze >/dev/null || apt_install systemd || true
}

# The Compose file is brought up where it can be: on Linux, as root.
need_podman() {
  [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] || return 0
  { command -v podman && command -v /usr/lib/podman/aardvark-dns; } >/dev/null || apt_install podman aardvark-dns netavark runc ||
    true
}

need_terminal() {
  command -v tmux >/dev/null || apt_install tmux || lack tmux "apt-get install tmux, or brew install tmux"
  command -v curl >/dev/null || apt_install curl || lack curl "apt-get install curl"
}

# Ends the run if anything is missing, and names all of it.
stop_if_missing() {
  [ -z "$missing" ] && return
  echo "This is missing:$missing" >&2
  [ -n "$may_install" ] || ! command -v apt-get >/dev/null || echo "Run ./dev setup as root to install what Debian packages." >&2
  exit 1
}

# Installs the npm packages of the lock file in folder $1 in the cache, and links them into the folder. $2 is another command of
# npm than `ci`, which refuses a lock file without the packages for other platforms.
install_node_packages() {
  local project="$1" folder unfinished
  folder="$cache/npm-$(git hash-object $project/package-lock.json)-$(uname -sm | tr ' ' -)"
  if [ ! -d "$folder" ]; then
    unfinished="$folder.$$"
    mkdir -p "$unfinished" &&
      cp $project/package.json $project/package-lock.json $project/.npmrc "$unfinished" &&
      # Install scripts are not run.
      (cd "$unfinished" && npm "${2:-ci}" --ignore-scripts --loglevel=error) &&
      mv "$unfinished" "$folder" || { rm -rf "$unfinished"; return 1; }
  fi
  rm -rf $project/node_modules && ln -s "$folder/node_modules" $project/node_modules
}

# Installs the Python packages in file $1 in a virtual environment in the cache. Sets `python`.
install_python_packages() {
  local folder
  folder="$cache/venv-$(git hash-object "$1")-$(python3 -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')"
  python="$folder/bin/python"
  [ -f "$folder/complete" ] && return 0
  rm -rf "$folder" && mkdir -p "$cache" && python3 -m venv "$folder" &&
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$1" &&
    "$python" -m pip check --disable-pip-version-check && touch "$folder/complete"
}
