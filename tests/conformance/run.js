// Runs the official conformance suite against `conformance demo`: Deputy with the tools that the suite expects. Exits with
// status 1 if a check fails that is not in `expected-failures.json`, or if one passes that is.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Demo, alice, repository } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";
import { authorize } from "../clients/node/user.js";
import { startProxy } from "./proxy.js";
import { requirements, run } from "./suite.js";
import { judge } from "./verdict.js";

const REVISIONS = ["2025-11-25", "2026-07-28"];

/** Runs the server scenarios of a revision, required and optional ones. */
async function asServer(demo, revision, folder) {
  const { access_token } = await logIn(demo, await register(demo.at("/register")), alice);
  const proxy = await startProxy(demo.port, access_token);
  try {
    const url = `http://localhost:${proxy.address().port}/mcp`;
    const ran = await run(folder, ["server", "--url", url, "--requirements", revision]);
    return { required: await requirements(revision), ran };
  } finally {
    proxy.close();
  }
}

/** Runs the scenarios of an authorization server, with a user who logs in when the suite requests it. */
async function asAuthorizationServer(demo, folder) {
  const client = await register(demo.at("/register"));
  const port = String(await freePort());
  const issuer = ["--url", demo.at(""), "--resource", demo.mcp];
  let login;
  const ran = await run(folder, ["authorization", ...issuer, "--client-id", client, "--port", port], (line) => {
    if (line.startsWith(demo.at("/authorize?"))) login = logInInBrowser(line, `http://127.0.0.1:${port}/callback`);
  });
  await login;
  return { required: ["authorization-server-metadata-endpoint", "authorization-code-grant"], ran };
}

async function logInInBrowser(url, callback) {
  // If the login fails, report that to the suite, which waits for a callback.
  const failed = (error) => ({ arrival: `${callback}?${new URLSearchParams({ error: error.message })}` });
  const { arrival } = await authorize(url, callback, alice).catch(failed);
  await fetch(arrival);
}

/** A port that is free, though another process may take it before it is used. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

if (Number.parseInt(process.versions.node) < 22) throw new Error("the suite needs Node.js 22 or newer");
process.env.DEPUTY ??= join(repository, "target/debug/conformance");
// A script takes the place of the native program on Workers.
const host = process.env.DEPUTY.endsWith(".js") ? "workerd" : "native";
const expected = JSON.parse(await readFile(new URL("expected-failures.json", import.meta.url), "utf8"));
const demo = await Demo.start();
const folder = await mkdtemp(join(tmpdir(), "deputy-conformance-"));
let passed = true;
try {
  for (const revision of REVISIONS) {
    const results = await asServer(demo, revision, join(folder, revision));
    passed = judge(revision, results, expected[revision], host) && passed;
  }
  const results = await asAuthorizationServer(demo, join(folder, "authorization"));
  passed = judge("authorization", results, expected.authorization, host) && passed;
} finally {
  await demo.stop();
  await rm(folder, { recursive: true });
}
process.exitCode = passed ? 0 : 1;
