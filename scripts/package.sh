# Sourced after workers.sh. Makes the packages of a release in the folder target/package.

# Looks for the programs that the packages $@ need, or all of them.
need_packaging() {
  local names="${*#--test}"
  need_rust
  need_node
  need_wasm
  case " ${names:-binary} " in *" binary "*) need_python ;; esac
  case " ${names:-deb} " in *" deb "*) command -v dpkg-deb >/dev/null || lack dpkg-deb "it is a part of Debian" ;; esac
  case " ${names:-image} " in
    *" image "*) command -v buildah >/dev/null || apt_install buildah || lack buildah "apt-get install buildah" ;;
  esac
  [ "${1:-}" != --test ] || need_emulator
}

# The tests run the programs of the other architecture too.
need_emulator() {
  local emulator=qemu-aarch64
  [ "$(uname -m)" != aarch64 ] || emulator=qemu-x86_64
  command -v $emulator >/dev/null || apt_install qemu-user || lack $emulator "apt-get install qemu-user"
}

# Makes the packages $@, or all of them, their checksums, and the list of their components. With --test before them, tests the
# packages in the folder.
package() {
  local made tested=""
  [ "${1:-}" != --test ] || { tested=yes; shift; }
  out="${CARGO_TARGET_DIR:-$PWD/target}/package"
  version="$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)"
  # The modes of the files in the packages.
  umask 022
  mkdir -p "$out" || return 1
  [ $# -gt 0 ] || set -- npm binary deb image
  for made in "$@"; do
    case "$made" in
      npm | binary | deb | image) "package_$made" || { echo "The package $made could not be made." >&2; return 1; } ;;
      *) echo "./dev package makes: npm binary deb image" >&2; return 2 ;;
    esac
  done
  node scripts/sbom.js >"$out/deputy-$version.cdx.json" || return 1
  (cd "$out" && rm -f SHA256SUMS && checksums *"$version"* >SHA256SUMS && ls -l) || return 1
  [ -z "$tested" ] || test_packages
}

# Tests the packages from their files alone. The Worker of the npm package has the simulated PingOne and the Todo API around it.
test_packages() {
  install_wrangler && cargo build --quiet --locked -p pingone-sim && build_workers todo-api &&
    "$worker_node" --test --test-reporter=spec tests/packages/*.test.js
}

checksums() {
  if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# The ready-built Worker of an OpenAPI document, with what makes a folder for it.
package_npm() {
  local folder="$out/create-deputy" source=$workers/openapi file wrangler
  build_workers openapi || return 1
  wrangler="$(node -p "require('./$workers/package.json').devDependencies.wrangler")" || return 1
  rm -rf "$folder" && mkdir -p "$folder" && cp -R $source/create/. "$folder" && cp LICENSE-* "$folder" &&
    mkdir "$folder/deputy" && cp $source/src/node.js $source/src/tools.js "$folder/deputy" || return 1
  for file in entry.js grant_index_object.js index.js index_bg.wasm module.js record_object.js; do
    cp "$source/build/$file" "$folder/deputy" || return 1
  done
  sed "s/\"version\": \".*\"/\"version\": \"$version\"/" $source/create/package.json >"$folder/package.json" &&
    sed "s/<version>/$wrangler/" $source/create/template/package.json >"$folder/template/package.json" &&
    worker_configuration >"$folder/template/wrangler.jsonc" && name_repository "$folder" &&
    (cd "$out" && npm pack --silent ./create-deputy)
}

# Adds the repository of the workflow to the package in the folder $1: npm verifies the provenance of a package with it.
name_repository() {
  [ -z "${GITHUB_REPOSITORY:-}" ] || (cd "$1" && npm pkg set "repository.url=git+$GITHUB_SERVER_URL/$GITHUB_REPOSITORY.git")
}

# Prints wrangler.jsonc with the main module and the document of the package.
worker_configuration() {
  sed -e '/^  "build": /d' -e 's|"hosts/cloudflare/node_modules/|"node_modules/|' \
    -e 's|^  "main": .*|  "main": "index.js",\
  // The document and the overlay are texts for the main module.\
  "rules": [{ "type": "Text", "globs": ["**/*.yaml", "**/*.json"], "fallthrough": true }],|' wrangler.jsonc
}

# The targets of the native program, each with Debian's name of its architecture.
static_targets="x86_64-unknown-linux-musl:amd64 aarch64-unknown-linux-musl:arm64"

# Static programs for Linux, in archives with the documents. Zig is their C compiler and linker, for it has musl for every architecture.
package_binary() {
  local target
  install_python_packages scripts/package.txt || return 1
  for target in $static_targets; do
    target="${target%:*}"
    rustup --quiet target add "$target" || return 1
    PATH="$(dirname "$python"):$PATH" CARGO_PROFILE_RELEASE_STRIP=symbols \
      cargo zigbuild --quiet --release --locked -p deputy-native --target "$target" || return 1
    archive "$target" || return 1
  done
}

archive() {
  local folder="$out/deputy-$version-$1"
  rm -rf "$folder" && mkdir -p "$folder" && cp "$(static_program "$1")" "$folder" && node scripts/documents.js "$folder" "$version" &&
    tar -czf "$folder.tar.gz" --owner=0 --group=0 -C "$out" "$(basename "$folder")" && rm -rf "$folder"
}

static_program() {
  local program="${CARGO_TARGET_DIR:-$PWD/target}/$1/release/deputy"
  [ -x "$program" ] || { echo "$program is missing: ./dev package binary makes it" >&2; return 1; }
  echo "$program"
}

# Debian packages with the unit of docs/native.md, the documents, and scripts as Debian's packages of services have them.
package_deb() {
  local target root architecture script
  for target in $static_targets; do
    architecture="${target#*:}"
    root="$out/deb-$architecture"
    rm -rf "$root" && mkdir -p "$root/DEBIAN" "$root/usr/bin" "$root/lib/systemd/system" "$root/usr/share/doc/deputy" "$root/etc/deputy" &&
      cp "$(static_program "${target%:*}")" "$root/usr/bin/deputy" && node scripts/documents.js "$root/usr/share/doc/deputy" "$version" &&
      systemd_unit >"$root/lib/systemd/system/deputy.service" && deb_control "$architecture" >"$root/DEBIAN/control" || return 1
    for script in postinst prerm postrm; do
      { printf '#!/bin/sh\nset -e\n' && "deb_$script"; } >"$root/DEBIAN/$script" && chmod 755 "$root/DEBIAN/$script" || return 1
    done
    dpkg-deb --root-owner-group --build "$root" "$out/deputy_${version}_$architecture.deb" >/dev/null && rm -rf "$root" || return 1
  done
}

systemd_unit() {
  # The first of the page, before a drop-in.
  sed -n '/^```ini$/,/^```$/ { /^```$/q; /^```/d; s|/usr/local/bin/deputy|/usr/bin/deputy|; p; }' docs/native.md
}

# A new service is not started: it needs /etc/deputy/env. One that runs is restarted with a new version.
deb_postinst() {
  cat <<'EOF'
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
  systemctl daemon-reload
  [ -z "$2" ] || systemctl try-restart deputy.service
fi
EOF
}

deb_prerm() {
  cat <<'EOF'
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl stop deputy.service
fi
EOF
}

# The configuration in /etc/deputy and the data in /var/lib/private/deputy are the operator's, and remain.
deb_postrm() {
  cat <<'EOF'
if [ "$1" = purge ]; then
  rm -f /etc/systemd/system/multi-user.target.wants/deputy.service
fi
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
EOF
}

deb_control() {
  cat <<EOF
Package: deputy
Version: $version
Architecture: $1
Maintainer: The authors of Deputy <deputy@localhost>
Section: net
Priority: optional
Recommends: ca-certificates
Description: MCP server that lets AI agents call an API on behalf of a user
 Deputy is an OAuth 2.1 authorization server for MCP clients, and an OpenID
 Connect client of PingOne. Its tools call your API with the user's own token.
EOF
}

# An OCI image of each architecture, and their index, in an archive. The only layers are the program and the certificates of this
# computer. The context stays, with the program for this computer, for Compose.
package_image() {
  local context="$out/image" image="deputy:$version" target
  rm -rf "$context" "$out/images" && mkdir -p "$context/data" &&
    cp /etc/ssl/certs/ca-certificates.crt deploy/Containerfile "$context" || return 1
  for target in $static_targets; do
    cp "$(static_program "${target%:*}")" "$context/deputy" &&
      build_images build --quiet --isolation chroot --timestamp 0 --platform "linux/${target#*:}" --manifest "$image" \
        "$context" >/dev/null || return 1
  done
  rm -f "$out/deputy-$version-image.tar" &&
    build_images manifest push --quiet --all "$image" "oci-archive:$out/deputy-$version-image.tar:$image" &&
    rm -rf "$out/images" && cp "$(static_program "$(uname -m)-unknown-linux-musl")" "$context/deputy"
}

# buildah, with images in a folder of their own.
build_images() {
  buildah --storage-driver vfs --root "$out/images" --runroot "$out/images/run" "$@"
}
