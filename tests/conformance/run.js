// Runs the official conformance suite against `conformance demo`: Deputy with the tools that the suite expects. Exits with
// 1 if a check fails that `expected-failures.json` does not name, or one passes that it does name.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Demo, alice, repository } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";
import { authorize } from "../clients/node/person.js";
import { startProxy } from "./proxy.js";
import { requirements, run } from "./suite.js";
import { judge } from "./verdict.js";

const REVISIONS = ["2025-11-25", "2026-07-28"];

/** The server scenarios of a revision, those beyond its requirements too. */
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

/** The scenarios of an authorization server, with a person who logs in when the suite asks for one. */
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
  // The suite waits for whatever comes of it.
  const stuck = (error) => ({ arrival: `${callback}?${new URLSearchParams({ error: error.message })}` });
  const { arrival } = await authorize(url, callback, alice).catch(stuck);
  await fetch(arrival);
}

/** A port that was free a moment ago. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

if (Number.parseInt(process.versions.node) < 22) throw new Error("the suite needs Node.js 22 or newer");
process.env.DEPUTY ??= join(repository, "target/debug/conformance");
// The Workers' host has a program of its own that stands in for the native one.
const host = process.env.DEPUTY.endsWith(".js") ? "workerd" : "native";
const expected = JSON.parse(await readFile(new URL("expected-failures.json", import.meta.url), "utf8"));
const demo = await Demo.start();
const folder = await mkdtemp(join(tmpdir(), "deputy-conformance-"));
let right = true;
try {
  for (const revision of REVISIONS) {
    const results = await asServer(demo, revision, join(folder, revision));
    right = judge(revision, results, expected[revision], host) && right;
  }
  const results = await asAuthorizationServer(demo, join(folder, "authorization"));
  right = judge("authorization", results, expected.authorization, host) && right;
} finally {
  await demo.stop();
  await rm(folder, { recursive: true });
}
process.exitCode = right ? 0 : 1;
