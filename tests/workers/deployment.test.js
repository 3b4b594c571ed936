// Wrong deployments: invalid variables, and the Workers of the tests.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";

import { dev, node, wrangler } from "../../hosts/cloudflare/wrangler.js";
import { freePorts, repository, spawnGroup } from "../clients/node/demo.js";

describe("Worker with wrong variables", { timeout: 60_000 }, () => {
  let folder, worker, url;
  let log = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "deputy-worker-"));
    const [port] = await freePorts(1);
    url = `http://127.0.0.1:${port}`;
    const variables = {
      API_IDENTIFIER: "https://todo.example",
      API_URL: "ftp://hunter2",
      CLIENT_APROVAL: "hunter2",
      COOKIE_ENCRYPTION_KEY: "",
      MCP_SERVER_CLIENT_AUTH: "client_secret_post",
      MCP_SERVER_CLIENT_SECRET: "a-secret-of-the-client",
      PINGONE_CLIENT_AUTH: "client_secret_basic",
      PINGONE_CLIENT_ID: "client",
      PINGONE_DV_POLICY_ID: "0123456789abcdef0123456789abcdef",
      PINGONE_ISSUER: "https://auth.pingone.eu/00000000-0000-4000-8000-000000000000/as",
      PUBLIC_URL: "https://deputy.example",
      SUBREQUESTS: "49",
    };
    const started = dev({ root: repository, port, data: join(folder, "workerd"), variables, log: "log" });
    worker = spawnGroup(started.command, started.args, { cwd: started.cwd, env: { ...process.env, ...started.env } });
    worker.stdout.on("data", (chunk) => (log += chunk));
    worker.stderr.on("data", (chunk) => (log += chunk));
    while (!(await fetch(`${url}/health`).catch(() => null))) {
      assert.equal(worker.exitCode, null, log);
      await sleep(100);
    }
  });
  after(async () => {
    if (worker && worker.exitCode === null) {
      const ended = once(worker, "close");
      process.kill(-worker.pid, "SIGKILL");
      await ended;
    }
    await rm(folder, { recursive: true });
  });

  test("every request gets 503 without details", async () => {
    for (const path of ["/health", "/mcp", "/.well-known/oauth-authorization-server", "/authorize?client_id=x"]) {
      const response = await fetch(url + path);
      assert.equal(response.status, 503, path);
      assert.equal(await response.text(), "the server is not configured; its log says what is missing", path);
    }
  });

  test("log has the names of wrong variables and no values", async () => {
    while (!log.includes("the Worker cannot start")) await sleep(50);
    const entry = log.split("\n").find((line) => line.includes("the Worker cannot start"));
    const misspelled = "CLIENT_APROVAL: is not a variable of Deputy; did you mean CLIENT_APPROVAL?";
    for (const name of ["API_URL", "COOKIE_ENCRYPTION_KEY", "SUBREQUESTS: must be", misspelled]) assert.ok(entry.includes(name), `${name} in ${entry}`);
    assert.ok(entry.includes("PINGONE_CLIENT_AUTH: has another value than MCP_SERVER_CLIENT_AUTH"), entry);
    for (const name of ["MCP_SERVER_CLIENT_ID", "MCP_SERVER_CLIENT_SECRET", "PINGONE_CLIENT_ID", "PINGONE_CLIENT_SECRET"]) {
      assert.ok(!entry.includes(name), `${name} in ${entry}`);
    }
    for (const value of ["hunter2", "a-secret-of-the-client"]) assert.ok(!log.includes(value), `${value} in ${log}`);
  });
});

test("modules are as small as the document says", async () => {
  const document = await readFile(join(repository, "docs/deploy.md"), "utf8");
  const sizes = document.match(/The module is smaller than ([\d.]+) MB after gzip, and that for OpenAPI documents smaller than ([\d.]+) MB/);
  for (const [index, name] of ["worker", "openapi"].entries()) {
    const module = await readFile(join(repository, "hosts/cloudflare", name, "build/index_bg.wasm"));
    const size = gzipSync(module, { level: 9 }).length;
    assert.ok(size < Number(sizes[index + 1]) * 1e6, `${name}: ${size} bytes`);
  }
});

test("Workers of the tests refuse to be deployed", { timeout: 60_000 }, async () => {
  const workers = [
    "hosts/cloudflare/testing/wrangler.jsonc",
    "hosts/cloudflare/conformance/wrangler.jsonc",
    "tests/workers/counting/wrangler.jsonc",
    "tests/workers/isolates/wrangler.jsonc",
    "tests/workers/isolates/wrangler.second.jsonc",
    "tests/workers/observed/wrangler.jsonc",
  ];
  for (const config of workers) {
    const cwd = join(repository, dirname(config));
    const { WORKER_IS_BUILT: _, ...env } = process.env;
    const options = { cwd, env: { ...env, CI: "1", WRANGLER_SEND_METRICS: "false", WRANGLER_WRITE_LOGS: "false" } };
    const args = [wrangler, "deploy", "--dry-run", "--config", basename(config)];
    const { error, output } = await new Promise((settle) =>
      execFile(node(), args, options, (error, stdout, stderr) => settle({ error, output: stdout + stderr })),
    );
    assert.ok(error, output);
    assert.match(output, /is never deployed/, config);
    assert.match(await readFile(join(repository, config), "utf8"), /"workers_dev": false/, config);
  }
});
