// Two isolates of one Worker, which share nothing but its storage.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Demo, alice, bob, repository } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";

const ISOLATES = ["first", "second"];

describe("Worker in two isolates", { timeout: 240_000 }, () => {
  let api, demo, client_id;
  before(async () => {
    const todos = (_, response) => response.writeHead(200, { "content-type": "application/json" }).end('{"todos":[]}');
    api = createServer(todos).listen(0, "127.0.0.1");
    await once(api, "listening");
    const env = { DEPUTY_WORKER_FOLDER: join(repository, "tests/workers/isolates") };
    demo = await Demo.start({ apiUrl: `http://127.0.0.1:${api.address().port}`, env });
    client_id = await register(demo.at("/register"));
  });
  after(async () => {
    await demo?.stop();
    api.closeAllConnections();
    api.close();
  });

  const post = (isolate, path, body, headers) =>
    fetch(demo.at(path), { method: "POST", body, headers: { ...headers, "x-isolate": isolate } });
  const token = async (isolate, { refresh_token }) => {
    const form = { grant_type: "refresh_token", client_id, refresh_token };
    const response = await post(isolate, "/token", new URLSearchParams(form));
    return { status: response.status, ...(await response.json()) };
  };
  const status = async (isolate, { access_token }) => {
    const params = { name: "get_my_todo_list", arguments: {} };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params });
    const response = await post(isolate, "/mcp", body, {
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${access_token}`,
      "content-type": "application/json",
      "mcp-protocol-version": "2025-11-25",
    });
    const text = await response.text();
    assert.ok(response.status !== 200 || JSON.parse(text).result.structuredContent, text);
    return response.status;
  };
  /** The statuses of `count` calls at once, of each isolate. */
  const statuses = (tokens, count = 1) =>
    Promise.all(ISOLATES.flatMap((isolate) => Array.from({ length: count }, () => status(isolate, tokens))));
  const refreshes = () => demo.requestsTo("refresh");
  /** A new login, whose tokens of PingOne are to be refreshed now. */
  const expiring = async (user) => {
    await demo.configure({ access_token_seconds: 62 });
    const tokens = await logIn(demo, client_id, user);
    await demo.configure({ access_token_seconds: 3600 });
    // Deputy refreshes a token in its last minute.
    await sleep(3_000);
    return tokens;
  };

  test("login that changes isolates at each request succeeds", async () => {
    for (let round = 0; round < 2; round += 1) {
      const tokens = await logIn(demo, client_id, alice);
      assert.deepEqual(await statuses(tokens), [200, 200]);
      // The next login begins in the other isolate, so each of them gets a callback.
      await fetch(demo.at("/health"));
    }
  });

  test("tokens of one isolate are used and rotated in the other", async () => {
    const issued = await logIn(demo, client_id, alice);
    const first = await token("first", issued);
    assert.equal(first.status, 200);
    assert.deepEqual(await statuses(first), [200, 200]);
    const second = await token("second", first);
    assert.equal(second.status, 200);
    assert.deepEqual(await statuses(second), [200, 200]);
  });

  test("refresh token sent to both isolates at once is rotated once", async () => {
    const issued = await logIn(demo, client_id, alice);
    const isolates = Array.from({ length: 10 }, () => ISOLATES).flat();
    const responses = await Promise.all(isolates.map((isolate) => token(isolate, issued)));
    assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([200]));
    assert.equal(new Set(responses.map(({ refresh_token }) => refresh_token)).size, 1);
    const [rotated] = responses;
    assert.deepEqual(await statuses(rotated), [200, 200]);
  });

  test("expiring token of PingOne is refreshed once for both", async () => {
    const tokens = await expiring(alice);
    const before = await refreshes();
    assert.deepEqual(await statuses(tokens, 10), Array(20).fill(200));
    // The calls do not wait for the refresh, since the token is still valid.
    while ((await refreshes()) === before) await sleep(50);
    await sleep(1_000);
    assert.deepEqual(await statuses(tokens, 10), Array(20).fill(200));
    assert.equal(await refreshes(), before + 1);
  });

  test("keys of PingOne are fetched once by each isolate", async () => {
    for (const endpoint of ["discovery", "jwks"]) {
      assert.equal(await demo.requestsTo(endpoint), 2, endpoint);
    }
  });

  test("failing token endpoint gets one request for both", async () => {
    const tokens = await expiring(bob);
    const before = await refreshes();
    await demo.force({ token_retry_after: [429, 20] }, { always: true });
    for (let round = 0; round < 8; round += 1) {
      assert.deepEqual(await statuses(tokens), [200, 200]);
      await sleep(500);
    }
    assert.equal(await refreshes(), before + 1);
    await demo.heal();
    assert.deepEqual(await statuses(tokens), [200, 200]);
  });

  test("login revoked in one isolate is refused in the other", async () => {
    for (const [one, other] of [ISOLATES, ISOLATES.toReversed()]) {
      const tokens = await logIn(demo, client_id, alice);
      assert.deepEqual(await statuses(tokens), [200, 200]);
      const form = { token: tokens.refresh_token, client_id };
      assert.equal((await post(one, "/revoke", new URLSearchParams(form))).status, 200);
      assert.equal(await status(other, tokens), 401);
      assert.equal((await token(other, tokens)).error, "invalid_grant");
    }
  });

  test("event that reaches one isolate ends the login in both", async () => {
    const tokens = await logIn(demo, client_id, bob);
    assert.deepEqual(await statuses(tokens), [200, 200]);
    await demo.actOn(bob, "lock");
    while ((await status("first", tokens)) !== 401) await sleep(50);
    assert.equal(await status("second", tokens), 401);
  });
});
