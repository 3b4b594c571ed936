// The static program, the Debian package and the image of a release.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { repository } from "../clients/node/demo.js";

const packages = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), "package");
const invoices = join(repository, "examples/invoices/openapi.yaml");
const named = (pattern) => {
  const name = readdirSync(packages).find((name) => pattern.test(name));
  assert.ok(name, `there is no ${pattern} in ${packages}; make it with: ./dev package`);
  return join(packages, name);
};
function run(command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", env: { PATH: process.env.PATH } });
  assert.equal(status, 0, `${command}: ${error ?? stderr}`);
  return stdout;
}

describe("packages", () => {
  const root = mkdtempSync(join(tmpdir(), "deputy-packages-"));
  before(() => {
    run("tar", "-xzf", named(/-x86_64-unknown-linux-musl\.tar\.gz$/), "-C", root, "--strip-components", "1");
  });
  after(() => rmSync(root, { recursive: true }));

  test("have the checksums of the list", () => {
    const lines = readFileSync(join(packages, "SHA256SUMS"), "utf8").trim().split("\n");
    assert.ok(lines.length > 0);
    for (const line of lines) {
      const [digest, name] = line.split(/ +\*?/);
      assert.equal(createHash("sha256").update(readFileSync(join(packages, name))).digest("hex"), digest, name);
    }
  });

  test("list their components", () => {
    const { components, bomFormat } = JSON.parse(readFileSync(named(/\.cdx\.json$/), "utf8"));
    assert.equal(bomFormat, "CycloneDX");
    const names = components.map(({ name }) => name);
    for (const name of ["rmcp", "rusqlite", "worker", "serde-saphyr"]) assert.ok(names.includes(name), name);
    assert.ok(components.every(({ licenses }) => licenses));
  });

  test("have a program that needs no library", () => {
    const program = join(root, "deputy");
    // An interpreter is the loader of shared libraries.
    assert.ok(!readFileSync(program).includes("ld-linux"));
    assert.match(run(program, "tools", "--openapi", invoices), /^Invoices: 6 tools/);
  });

  test("install the program and its unit on Debian", () => {
    const file = named(/_amd64\.deb$/);
    const listed = run("dpkg-deb", "--contents", file);
    for (const path of ["./usr/bin/deputy", "./lib/systemd/system/deputy.service", "./usr/share/doc/deputy/LICENSE-MIT"])
      assert.ok(listed.includes(path), path);
    assert.match(listed, /drwx------ root\/root .* \.\/etc\/deputy\/\n/);
    const folder = join(root, "deb");
    mkdirSync(folder);
    run("dpkg-deb", "--extract", file, folder);
    const unit = readFileSync(join(folder, "lib/systemd/system/deputy.service"), "utf8");
    assert.match(unit, /^\[Unit\]\n[^]*^ExecStart=\/usr\/bin\/deputy serve$/m);
    run(join(folder, "usr/bin/deputy"), "--version");
  });

  test("have an image that starts the program", () => {
    const folder = join(root, "image");
    mkdirSync(folder);
    run("tar", "-xf", named(/-image\.tar$/), "-C", folder);
    const blob = (digest) => join(folder, "blobs", digest.replace(":", "/"));
    const read = (digest) => JSON.parse(readFileSync(blob(digest), "utf8"));
    const manifest = read(JSON.parse(readFileSync(join(folder, "index.json"), "utf8")).manifests[0].digest);
    const { config } = read(manifest.config.digest);
    assert.deepEqual([...config.Entrypoint, ...config.Cmd], ["/usr/bin/deputy", "serve"]);
    assert.equal(config.User, "65532:65532");
    const files = join(folder, "root");
    mkdirSync(files);
    for (const { digest } of manifest.layers) run("tar", "-xf", blob(digest), "-C", files);
    assert.ok(existsSync(join(files, "etc/ssl/certs/ca-certificates.crt")));
    if (process.getuid() === 0) assert.equal(statSync(join(files, "data")).uid, 65532);
    if (process.getuid() === 0) assert.match(run("chroot", "--userspec=65532:65532", files, "/usr/bin/deputy", "--version"), /^deputy 0/);
  });
});
