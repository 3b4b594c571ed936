// Records and their objects come and go together.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Demo, alice } from "../clients/node/demo.js";
import { authorize } from "../clients/node/person.js";
import { living, objects } from "./objects.js";

const REDIRECT_URI = "http://127.0.0.1:33418/callback";

describe("Durable Objects", () => {
  let demo, data;
  before(async () => {
    demo = await Demo.start();
    data = join(demo.folder, "workerd");
  });
  after(() => demo?.stop());

  const post = (path, form) => fetch(demo.at(path), { method: "POST", body: new URLSearchParams(form) });

  async function register() {
    const answer = await fetch(demo.at("/register"), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "none" }),
    });
    assert.equal(answer.status, 201);
    return (await answer.json()).client_id;
  }

  async function tokens(client_id) {
    const code_verifier = randomBytes(32).toString("base64url");
    const query = new URLSearchParams({
      response_type: "code",
      client_id,
      redirect_uri: REDIRECT_URI,
      code_challenge: createHash("sha256").update(code_verifier).digest("base64url"),
      code_challenge_method: "S256",
    });
    const { arrival } = await authorize(demo.at(`/authorize?${query}`), REDIRECT_URI, alice);
    const code = arrival.searchParams.get("code");
    const form = { grant_type: "authorization_code", client_id, code, code_verifier, redirect_uri: REDIRECT_URI };
    const answer = await post("/token", form);
    assert.equal(answer.status, 200);
    return answer.json();
  }

  const call = (token) =>
    fetch(demo.mcp, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
    });

  test("a login leaves the grant and the person's index, and a revocation nothing", async () => {
    const client = await register();
    const { access_token: access, refresh_token: refresh } = await tokens(client);
    assert.equal((await call(access)).status, 200);
    assert.equal(living(data, "deputy").length, 2);
    assert.equal((await post("/revoke", { token: refresh, client_id: client })).status, 200);
    assert.equal((await call(access)).status, 401);
    assert.deepEqual(living(data, "deputy"), []);
  });

  test("what strangers send as tokens wakes no object", async () => {
    const client = await register();
    const { access_token: access, refresh_token: refresh } = await tokens(client);
    const before = objects(data, "deputy").length;
    const other = (token, at) => token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
    // The id of the grant, and its tag.
    for (const at of [8, 30]) {
      assert.equal((await call(other(access, at))).status, 401);
      const forged = { grant_type: "refresh_token", client_id: client, refresh_token: other(refresh, at) };
      assert.equal((await post("/token", forged)).status, 400);
      assert.equal((await post("/revoke", { token: other(refresh, at), client_id: client })).status, 200);
    }
    for (const token of ["x", "dpa_", `dpa_${"A".repeat(80)}`, "A".repeat(8_000)]) {
      assert.equal((await call(token)).status, 401);
    }
    assert.equal(objects(data, "deputy").length, before);
    assert.equal((await post("/revoke", { token: refresh, client_id: client })).status, 200);
  });

  test("who leaves before the end of a login leaves nothing for longer than it lasts", async () => {
    const folder = process.env.DEPUTY_WORKER_DATA;
    const before = new Set(living(folder, "deputy-testing"));
    // A clock that is slow by ten minutes less three seconds, which is how long a page waits for its answer.
    const world = describeWorld({ now: Math.floor(Date.now() / 1000) - 597 });
    const to = (path, init) =>
      fetch(process.env.DEPUTY_WORKER + path, { ...init, headers: { ...init?.headers, "x-test-world": world } });
    const registered = await to("/register", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "none" }),
    });
    assert.equal(registered.status, 201, await registered.clone().text());
    const { client_id } = await registered.json();
    const query = new URLSearchParams({
      response_type: "code",
      client_id,
      redirect_uri: REDIRECT_URI,
      code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      code_challenge_method: "S256",
    });
    assert.equal((await to(`/authorize?${query}`)).status, 200);
    const opened = living(folder, "deputy-testing").filter((file) => !before.has(file));
    assert.equal(opened.length, 1);
    for (let tries = 0; tries < 150 && living(folder, "deputy-testing").includes(opened[0]); tries += 1) {
      await sleep(100);
    }
    assert.ok(!living(folder, "deputy-testing").includes(opened[0]));
  });
});

/** A world for the Worker in hosts/cloudflare/testing. */
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
