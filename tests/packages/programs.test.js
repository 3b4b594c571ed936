// The static programs, the Debian packages and the image of a release.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { alice, freePorts, repository, spawnGroup } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";
import { callTool } from "../clients/node/mcp.js";

const target = process.env.CARGO_TARGET_DIR ?? join(repository, "target");
const packages = join(target, "package");
const invoices = join(repository, "examples/invoices/openapi.yaml");
/** The architectures, by the names of Rust, Debian and Node.js. */
const ARCHITECTURES = [
  ["x86_64", "amd64", "x64"],
  ["aarch64", "arm64", "arm64"],
];
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

/** The pages in `folder`, and those of their links that lead to no file. */
function linksOfPages(folder) {
  const pages = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith(".md"));
  const lost = pages.flatMap((page) => {
    const links = [...readFileSync(join(folder, page), "utf8").matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
    const paths = links.filter((target) => !/^(#|[a-z]+:)/.test(target)).map((target) => target.split("#")[0]);
    return paths.filter((path) => !existsSync(join(folder, dirname(page), path))).map((path) => `${page}: ${path}`);
  });
  return { pages, lost };
}

async function stop(child) {
  if (child.exitCode === null && child.kill()) await once(child, "close");
}

/** Serves the invoices with `deputy`, a command, while `use` runs. PingOne, simulated, and the API are programs of this computer. */
async function serve(deputy, folder, use) {
  const [port, pingonePort] = await freePorts(2);
  const at = (path) => `http://localhost:${port}${path}`;
  const requests = [];
  const api = createServer(({ method, url, headers }, response) => {
    requests.push(`${method} ${url} ${headers.authorization?.split(" ")[0]}`);
    response.setHeader("content-type", "application/json").end('{"items":[]}');
  });
  await new Promise((resolve) => api.listen(0, resolve));
  const [issuer, audience] = [`http://localhost:${pingonePort}`, "https://invoices.example"];
  const pingone = spawnGroup(join(target, "debug/pingone-sim"), [
    ...["--listen", `127.0.0.1:${pingonePort}`, "--base-url", issuer, "--redirect-uri", at("/callback")],
    ...["--api-identifier", audience, "--scopes", "invoice.read invoice.write", "--state-file", join(folder, "pingone.json")],
  ]);
  const env = { API_IDENTIFIER: audience, API_URL: `http://localhost:${api.address().port}`, OPENAPI: invoices, PUBLIC_URL: at("") };
  let child;
  const start = async () => {
    const options = ["serve", "--listen", `127.0.0.1:${port}`, "--data-dir", join(folder, "data")];
    child = spawnGroup(deputy[0], [...deputy.slice(1), ...options], { cwd: folder, env: { ...env, PATH: process.env.PATH } });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += chunk));
    while (!(await fetch(at("/health")).catch(() => null))?.ok) {
      assert.equal(child.exitCode, null, output);
      await sleep(100);
    }
  };
  try {
    env.SERVER_KEY = randomBytes(32).toString("base64");
    for await (const line of createInterface(pingone.stdout)) {
      const [, name, value] = line.match(/^([A-Z_]+)=(.*)$/) ?? [];
      if (name) env[name] = value;
      if (env.PINGONE_ISSUER && env.PINGONE_DV_POLICY_ID && env.PINGONE_CLIENT_ID && env.PINGONE_CLIENT_SECRET) break;
    }
    for (const stream of [pingone.stdout, pingone.stderr]) stream.resume();
    await start();
    await use({ at, mcp: at("/mcp"), requests, restart: () => stop(child).then(start) });
  } finally {
    await Promise.all([child, pingone].filter(Boolean).map(stop));
    api.close();
  }
}

test("packages have the checksums of the list", () => {
  const lines = readFileSync(join(packages, "SHA256SUMS"), "utf8").trim().split("\n");
  assert.ok(lines.length > 0);
  for (const line of lines) {
    const [digest, name] = line.split(/ +\*?/);
    assert.equal(createHash("sha256").update(readFileSync(join(packages, name))).digest("hex"), digest, name);
  }
});

test("packages list their components", () => {
  const { components, bomFormat } = JSON.parse(readFileSync(named(/\.cdx\.json$/), "utf8"));
  assert.equal(bomFormat, "CycloneDX");
  const names = components.map(({ name }) => name);
  for (const name of ["rmcp", "rusqlite", "worker", "serde-saphyr"]) assert.ok(names.includes(name), name);
  assert.ok(components.every(({ licenses }) => licenses));
});

for (const [machine, architecture, own] of ARCHITECTURES) {
  describe(`packages for ${architecture}`, () => {
    const root = mkdtempSync(join(tmpdir(), "deputy-packages-"));
    const program = join(root, "deputy");
    /** What runs programs of this architecture here. */
    const emulator = process.arch === own ? [] : [`qemu-${machine}`];
    const runs = (program, ...args) => run(...emulator, program, ...args);

    before(() => {
      run("tar", "-xzf", named(new RegExp(`-${machine}-unknown-linux-musl\\.tar\\.gz$`)), "-C", root, "--strip-components", "1");
    });
    after(() => rmSync(root, { recursive: true }));

    test("have a program that needs no library", () => {
      // An interpreter is the loader of shared libraries.
      assert.ok(!readFileSync(program).includes("ld-linux"));
      assert.match(runs(program, "tools", "--openapi", invoices), /^Invoices: 6 tools/);
    });

    test("have the documents and the examples", () => {
      const { pages, lost } = linksOfPages(root);
      for (const page of ["README.md", "docs/native.md", "docs/replicas.md"]) assert.ok(pages.includes(page), page);
      assert.deepEqual(lost, []);
      assert.ok(existsSync(join(root, "deploy/helm/deputy/Chart.yaml")));
      assert.match(runs(program, "tools", "--openapi", join(root, "examples/invoices/openapi.yaml")), /^Invoices: 6 tools/);
    });

    test("have a program that serves a document", { timeout: 300_000 }, () =>
      serve([...emulator, program], root, async (deputy) => {
        const { access_token } = await logIn(deputy, await register(deputy.at("/register")), alice);
        const listed = await callTool(deputy, access_token, "listInvoices");
        assert.deepEqual(listed.structuredContent, { items: [] });
        // The grant is in SQLite.
        await deputy.restart();
        await callTool(deputy, access_token, "listInvoices", { limit: 5 });
        assert.deepEqual(deputy.requests, ["GET /invoices Bearer", "GET /invoices?limit=5 Bearer"]);
      }));

    test("install the program and its unit on Debian", () => {
      const file = named(new RegExp(`_${architecture}\\.deb$`));
      assert.equal(run("dpkg-deb", "--field", file, "Architecture").trim(), architecture);
      const listed = run("dpkg-deb", "--contents", file);
      for (const path of ["./usr/bin/deputy", "./lib/systemd/system/deputy.service", "./usr/share/doc/deputy/LICENSE-MIT"])
        assert.ok(listed.includes(path), path);
      // The user of the service reads documents there.
      assert.match(listed, /drwxr-xr-x root\/root .* \.\/etc\/deputy\/\n/);
      const folder = join(root, "deb");
      mkdirSync(folder);
      run("dpkg-deb", "--extract", file, folder);
      const unit = readFileSync(join(folder, "lib/systemd/system/deputy.service"), "utf8");
      assert.match(unit, /^\[Unit\]\n[^]*^ExecStart=\/usr\/bin\/deputy serve$/m);
      runs(join(folder, "usr/bin/deputy"), "--version");
      const { pages, lost } = linksOfPages(join(folder, "usr/share/doc/deputy"));
      assert.ok(pages.includes("docs/native.md"));
      assert.deepEqual(lost, []);
    });

    test("stop the service before Debian removes it", () => {
      const folder = join(root, "control");
      run("dpkg-deb", "--control", named(new RegExp(`_${architecture}\\.deb$`)), folder);
      for (const [script, command] of [
        ["postinst", "try-restart deputy.service"],
        ["prerm", "stop deputy.service"],
        ["postrm", "daemon-reload"],
      ]) {
        const text = readFileSync(join(folder, script), "utf8");
        assert.match(text, new RegExp(`\\[ -d /run/systemd/system \\].*\\n[^]*systemctl ${command}\\n`), script);
        run("sh", "-n", join(folder, script));
        assert.equal(statSync(join(folder, script)).mode & 0o777, 0o755);
      }
    });

    test("have an image that starts the program", () => {
      const folder = join(root, "image");
      mkdirSync(folder);
      run("tar", "-xf", named(/-image\.tar$/), "-C", folder);
      const blob = ({ digest }) => join(folder, "blobs", digest.replace(":", "/"));
      const read = (descriptor) => JSON.parse(readFileSync(blob(descriptor), "utf8"));
      const { manifests } = read(JSON.parse(readFileSync(join(folder, "index.json"), "utf8")).manifests[0]);
      assert.equal(manifests.length, ARCHITECTURES.length);
      const manifest = read(manifests.find(({ platform }) => platform.architecture === architecture));
      const { config, ...image } = read(manifest.config);
      assert.equal(image.architecture, architecture);
      assert.deepEqual([...config.Entrypoint, ...config.Cmd], ["/usr/bin/deputy", "serve"]);
      assert.equal(config.User, "65532:65532");
      const files = join(folder, "root");
      mkdirSync(files);
      for (const layer of manifest.layers) run("tar", "-xf", blob(layer), "-C", files);
      assert.ok(existsSync(join(files, "etc/ssl/certs/ca-certificates.crt")));
      if (process.getuid() === 0) assert.equal(statSync(join(files, "data")).uid, 65532);
      assert.match(runs(join(files, "usr/bin/deputy"), "--version"), /^deputy 0/);
      if (process.getuid() === 0 && emulator.length === 0)
        assert.match(run("chroot", "--userspec=65532:65532", files, "/usr/bin/deputy", "--version"), /^deputy 0/);
    });
  });
}
