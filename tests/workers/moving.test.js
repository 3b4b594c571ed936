// The move from a Worker to the native host, as in docs/moving.md.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { Demo, repository } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";
import { callTool } from "../clients/node/mcp.js";

const deputy = join(process.env.DEPUTY_PROGRAMS ?? join(repository, "target/debug"), "deputy");
const LOGINS = 200;

/** Runs `work` for each item, eight at a time, and returns the results. */
async function each(items, work) {
  const results = [];
  for (let start = 0; start < items.length; start += 8) {
    results.push(...(await Promise.all(items.slice(start, start + 8).map(work))));
  }
  return results;
}

const atPingOne = (demo, path, method, body) =>
  fetch(demo.atPingOne(path), { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

const families = async (demo) => (await (await fetch(demo.atPingOne("/sim/state"))).json()).families;

/** Refreshes the tokens of a client. Returns the access token and the refresh token. */
async function refresh(demo, client_id, refresh_token) {
  const body = new URLSearchParams({ grant_type: "refresh_token", client_id, refresh_token });
  const response = await fetch(demo.at("/token"), { method: "POST", body });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

test("logins of a Worker continue on the native host", { timeout: 300_000 }, async (context) => {
  const ADMIN_TOKEN = randomBytes(32).toString("base64url");
  const demo = await Demo.start({ env: { ADMIN_EXPORT: "on", ADMIN_TOKEN, RATE_LIMITS: "off" } });
  context.after(() => demo.stop());
  // Deputy refreshes an access token in its last minute.
  const settings = await (await fetch(demo.atPingOne("/sim/settings"))).json();
  await atPingOne(demo, "/sim/settings", "PUT", { ...settings, access_token_seconds: 62 });
  const client = await register(demo.at("/register"));
  const users = [...Array(LOGINS).keys()].map((number) => ({ username: `user-${number}`, password: "Moving-demo-1" }));
  let logins = await each(users, async (user) => {
    await atPingOne(demo, "/sim/users", "POST", user);
    return logIn(demo, client, user);
  });
  // Some clients have refreshed their tokens before.
  logins = await each(logins, async (tokens, index) => (index % 4 ? tokens : refresh(demo, client, tokens.refresh_token)));

  const data = join(demo.folder, "native/deputy");
  const env = { ...process.env, ADMIN_TOKEN, ADMIN_TOKEN_FILE: "", STORE_URL: "" };
  const { stdout } = await promisify(execFile)(deputy, ["store", "copy", demo.at("/"), data], { env, cwd: demo.folder });
  assert.match(stdout, new RegExp(` ${LOGINS} of them grants, from ${demo.at("/")} to `), stdout);

  // The same key, the same URL and the same PingOne.
  await demo.end();
  await mkdir(join(demo.folder, "native/pingone"));
  await copyFile(join(demo.folder, "cookie-encryption-key"), join(data, "cookie-encryption-key"));
  await copyFile(join(demo.folder, "pingone.json"), join(demo.folder, "native/pingone/pingone.json"));
  await demo.restart({ data: "native", deputy, env: { RATE_LIMITS: "off" } });
  await each(logins, async ({ refresh_token }) => {
    const { access_token } = await refresh(demo, client, refresh_token);
    assert.ok((await callTool(demo, access_token, "get_my_todo_list")).structuredContent);
  });
  // PingOne's refresh tokens have come along, too.
  const used = await families(demo);
  assert.equal(used.length, LOGINS);
  assert.deepEqual(used.filter(({ revoked, rotations }) => revoked || rotations === 0), []);
});
