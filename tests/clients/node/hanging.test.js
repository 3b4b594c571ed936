// A request that waits for a hanging PingOne or API ends in time, and delays no other request.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { alice, bob, Demo } from "./demo.js";
import { authorizationRequest, logIn, REDIRECT_URI, register } from "./login.js";
import { callTool, isAccepted, request } from "./mcp.js";
import { authorize } from "./user.js";

/** The delay of a hanging endpoint, in seconds: longer than every deadline of Deputy. */
const MINUTE = 60;
/** The longest time to a response, in milliseconds. */
const PATIENCE = 45_000;

const metadataStatus = async (demo) => (await fetch(demo.at("/.well-known/oauth-authorization-server"))).status;

/** Tracks the promise `work`: whether it is done, and how long it took. */
function tracked(work) {
  const begin = performance.now();
  const watch = { done: false };
  watch.result = work.finally(() => Object.assign(watch, { done: true, milliseconds: performance.now() - begin }));
  // A failure is reported where the result is awaited.
  watch.result.catch(() => {});
  return watch;
}

async function until(condition, work) {
  while (!(await condition())) {
    assert.ok(!work.done, "it ended before the endpoint was reached");
    await sleep(20);
  }
}

describe("hanging server", { concurrency: true, timeout: 300_000 }, () => {
  describe("PingOne hangs", { concurrency: 1 }, () => {
    let demo, client_id, other;
    before(async () => {
      demo = await Demo.start();
      client_id = await register(demo.at("/register"));
      other = (await logIn(demo, client_id, bob)).access_token;
    });
    after(() => demo?.stop());

    /** Starts a login of alice that hangs at PingOne, and checks that other requests do not wait. */
    async function hanging(failure, endpoint) {
      const before = await demo.requestsTo(endpoint);
      await demo.force(failure);
      const state = randomBytes(8).toString("hex");
      const query = authorizationRequest(client_id, randomBytes(32).toString("base64url"));
      const login = tracked(authorize(demo.at(`/authorize?${query}&state=${state}`), REDIRECT_URI, alice));
      await until(async () => (await demo.requestsTo(endpoint)) > before, login);
      assert.equal(await metadataStatus(demo), 200);
      assert.ok((await callTool(demo, other, "get_my_todo_list")).structuredContent.todos);
      assert.equal(login.done, false, "the others had to wait");
      return { login, state };
    }

    /** The parameters of the authorization response. */
    async function outcome({ login, state }) {
      const { arrival } = await login.result;
      assert.ok(login.milliseconds < PATIENCE, `${login.milliseconds} ms`);
      assert.equal(arrival.searchParams.get("state"), state);
      assert.equal(arrival.searchParams.get("iss"), demo.at(""));
      return arrival.searchParams;
    }

    async function worksAgain() {
      await demo.heal();
      const { access_token } = await logIn(demo, client_id, alice);
      assert.ok(await isAccepted(demo, access_token));
    }

    test("login ends in time while token endpoint or UserInfo hangs", async () => {
      const tokens = await hanging({ token_after: MINUTE }, "token");
      const userInfo = await hanging({ user_info_after: MINUTE }, "userinfo");
      assert.equal((await outcome(tokens)).get("error"), "temporarily_unavailable");
      // UserInfo adds only to the claims of the ID token, so the login succeeds without it.
      assert.ok((await outcome(userInfo)).get("code"));
      await worksAgain();
    });

    test("login ends in time while discovery or the key set hangs", async () => {
      // A restarted Deputy has neither of them.
      await demo.restart();
      // The Todo API has no keys either. It fetches and keeps them now.
      await callTool(demo, other, "get_my_todo_list");
      // Not at the same time: the second login would wait for the discovery fetch of the first.
      const discovery = await hanging({ discovery_after: MINUTE }, "discovery");
      assert.equal((await outcome(discovery)).get("error"), "temporarily_unavailable");
      const keys = await hanging({ jwks_after: MINUTE }, "jwks");
      assert.equal((await outcome(keys)).get("error"), "temporarily_unavailable");
      await worksAgain();
    });
  });

  describe("the API hangs", { concurrency: 1 }, () => {
    let demo, api, calls;
    before(async () => {
      calls = 0;
      // It counts requests and never responds.
      api = createServer(() => (calls += 1)).listen(0, "127.0.0.1");
      await once(api, "listening");
      demo = await Demo.start({ apiUrl: `http://127.0.0.1:${api.address().port}` });
    });
    after(async () => {
      await demo?.stop();
      api.closeAllConnections();
      api.close();
    });

    test("calls to a hanging API fail in time, and others continue", async () => {
      const client_id = await register(demo.at("/register"));
      const mine = (await logIn(demo, client_id, alice)).access_token;
      const other = (await logIn(demo, client_id, bob)).access_token;
      const results = tracked(Promise.all(Array.from({ length: 8 }, () => callTool(demo, mine, "get_my_todo_list"))));
      await until(() => calls >= 8, results);
      assert.equal(await metadataStatus(demo), 200);
      assert.equal((await callTool(demo, other, "who_am_i")).structuredContent.user.username, "bob");
      assert.ok((await request(demo, other, "tools/list")).tools.length > 0);
      assert.equal(results.done, false, "the others had to wait");
      for (const { isError } of await results.result) assert.equal(isError, true);
      assert.ok(results.milliseconds < PATIENCE, `${results.milliseconds} ms`);
      assert.ok(await isAccepted(demo, mine));
    });
  });
});
