// An object exists exactly as long as its record.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Demo, alice } from "../clients/node/demo.js";
import { authorizationRequest, logIn, register } from "../clients/node/login.js";
import { send } from "../clients/node/mcp.js";
import { contained, liveObjects, objects } from "./objects.js";

describe("Durable Objects", () => {
  let demo, data;
  before(async () => {
    demo = await Demo.start();
    data = join(demo.folder, "workerd");
  });
  after(() => demo?.stop());

  const post = (path, form) => fetch(demo.at(path), { method: "POST", body: new URLSearchParams(form) });

  const call = (token) => send(demo, token, { id: 1, method: "tools/list" });

  test("login leaves two objects, revocation none", async () => {
    const client = await register(demo.at("/register"));
    const { access_token: access, refresh_token: refresh } = await logIn(demo, client, alice);
    assert.equal((await call(access)).status, 200);
    // The grant, and the user's index of grants.
    assert.equal(liveObjects(data, "deputy").length, 2);
    assert.equal((await post("/revoke", { token: refresh, client_id: client })).status, 200);
    assert.equal((await call(access)).status, 401);
    // The empty index expires within a second. Its alarm may run later.
    for (let tries = 0; tries < 150 && liveObjects(data, "deputy").length > 0; tries += 1) await sleep(100);
    assert.deepEqual(liveObjects(data, "deputy"), []);
  });

  test("revoked login leaves empty files", async () => {
    const own = await Demo.start();
    try {
      const folder = join(own.folder, "workerd");
      const client = await register(own.at("/register"));
      const { refresh_token: token } = await logIn(own, client, alice);
      // The grant contains both in clear text: the name of the client and that of the user.
      const contents = [client.split(".")[0], "alice"];
      const found = () => objects(folder, "deputy").flatMap((file) => contained(file, contents));
      assert.deepEqual(new Set(found()), new Set(contents));
      const form = new URLSearchParams({ token, client_id: client });
      assert.equal((await fetch(own.at("/revoke"), { method: "POST", body: form })).status, 200);
      for (let tries = 0; tries < 150 && liveObjects(folder, "deputy").length > 0; tries += 1) await sleep(100);
      assert.deepEqual(liveObjects(folder, "deputy"), []);
      // workerd merges the write-ahead log when it stops.
      await own.end();
      assert.deepEqual(found(), []);
    } finally {
      await own.stop();
    }
  });

  test("forged token wakes no object", async () => {
    const client = await register(demo.at("/register"));
    const { access_token: access, refresh_token: refresh } = await logIn(demo, client, alice);
    const before = objects(data, "deputy").length;
    const altered = (token, at) => token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
    // A character of the grant's id, and one of its tag.
    for (const at of [8, 30]) {
      assert.equal((await call(altered(access, at))).status, 401);
      const forged = { grant_type: "refresh_token", client_id: client, refresh_token: altered(refresh, at) };
      assert.equal((await post("/token", forged)).status, 400);
      assert.equal((await post("/revoke", { token: altered(refresh, at), client_id: client })).status, 200);
    }
    for (const token of ["x", "dpa_", `dpa_${"A".repeat(80)}`, "A".repeat(8_000)]) {
      assert.equal((await call(token)).status, 401);
    }
    assert.equal(objects(data, "deputy").length, before);
    assert.equal((await post("/revoke", { token: refresh, client_id: client })).status, 200);
  });

  test("abandoned login leaves no object after it expires", async () => {
    const folder = process.env.DEPUTY_WORKER_DATA;
    const before = new Set(liveObjects(folder, "deputy-testing"));
    // The clock of this world is 597 seconds slow, so the ten minutes of the approval page end in three seconds.
    const world = describeWorld({ now: Math.floor(Date.now() / 1000) - 597 });
    const to = (path, init) =>
      fetch(process.env.DEPUTY_WORKER + path, { ...init, headers: { ...init?.headers, "x-test-world": world } });
    const client = await register("/register", to);
    const query = authorizationRequest(client, randomBytes(32).toString("base64url"));
    assert.equal((await to(`/authorize?${query}`)).status, 200);
    const opened = liveObjects(folder, "deputy-testing").filter((file) => !before.has(file));
    assert.equal(opened.length, 1);
    for (let tries = 0; tries < 150 && liveObjects(folder, "deputy-testing").includes(opened[0]); tries += 1) {
      await sleep(100);
    }
    assert.ok(!liveObjects(folder, "deputy-testing").includes(opened[0]));
  });
});

/** The header `x-test-world` of the Worker in hosts/cloudflare/testing. */
function describeWorld({ now }) {
  const name = randomBytes(8).toString("hex");
  const variables = {
    API_IDENTIFIER: "https://todo.example",
    API_URL: "https://todo.example",
    COOKIE_ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    MCP_SERVER_CLIENT_ID: "client",
    MCP_SERVER_CLIENT_SECRET: "secret-of-the-client",
    PINGONE_DV_POLICY_ID: "0123456789abcdef0123456789abcdef",
    PINGONE_ISSUER: "https://auth.pingone.eu/00000000-0000-4000-8000-000000000000/as",
    PUBLIC_URL: "https://deputy.example",
  };
  const world = { id: name, records: name, now, variables, network: "http://127.0.0.1:1/", hosts: [], evict: false };
  return Buffer.from(JSON.stringify(world)).toString("base64url");
}
