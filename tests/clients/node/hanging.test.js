// Who waits for somebody that does not answer waits alone, and not for ever.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { alice, bob, Demo } from "./demo.js";
import { authorizationRequest, logIn, REDIRECT_URI, register } from "./login.js";
import { ask, callTool, isGood } from "./mcp.js";
import { authorize } from "./person.js";

/** Longer than anything here that hangs. */
const MINUTE = 60;
/** What somebody may have to wait for an answer. */
const PATIENCE = 45_000;

const metadata = async (demo) => (await fetch(demo.at("/.well-known/oauth-authorization-server"))).status;

/** What `work` comes to, how long it took, and whether it has. */
function watched(work) {
  const begin = performance.now();
  const watch = { done: false };
  watch.result = work.finally(() => Object.assign(watch, { done: true, milliseconds: performance.now() - begin }));
  // Whoever awaits it hears of a failure.
  watch.result.catch(() => {});
  return watch;
}

async function until(condition, work) {
  while (!(await condition())) {
    assert.ok(!work.done, "it was over before it began to hang");
    await sleep(20);
  }
}

describe("who does not answer", { concurrency: true, timeout: 300_000 }, () => {
  describe("PingOne accepts and does not answer", { concurrency: 1 }, () => {
    let demo, client_id, other;
    before(async () => {
      demo = await Demo.start();
      client_id = await register(demo.at("/register"));
      other = (await logIn(demo, client_id, bob)).access_token;
    });
    after(() => demo?.stop());

    /** A login of alice's that hangs because PingOne does, while others do not wait. */
    async function hanging(failure, endpoint) {
      const before = await demo.asked(endpoint);
      await demo.force(failure);
      const state = randomBytes(8).toString("hex");
      const query = authorizationRequest(client_id, randomBytes(32).toString("base64url"));
      const login = watched(authorize(demo.at(`/authorize?${query}&state=${state}`), REDIRECT_URI, alice));
      await until(async () => (await demo.asked(endpoint)) > before, login);
      assert.equal(await metadata(demo), 200);
      assert.ok((await callTool(demo, other, "get_my_todo_list")).structuredContent.todos);
      assert.equal(login.done, false, "the others had to wait");
      return { login, state };
    }

    /** What the application is told in the end. */
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
      assert.ok(await isGood(demo, access_token));
    }

    test("with tokens or UserInfo: the application is told to try later or gets its code, and the next login works", async () => {
      const tokens = await hanging({ token_after: MINUTE }, "token");
      const userInfo = await hanging({ user_info_after: MINUTE }, "userinfo");
      assert.equal((await outcome(tokens)).get("error"), "temporarily_unavailable");
      // It says nothing that the ID token does not.
      assert.ok((await outcome(userInfo)).get("code"));
      await worksAgain();
    });

    test("with discovery or keys: the application is told to try later, and the next login works", async () => {
      // Deputy has forgotten both.
      await demo.restart();
      // The Todo API, too; it asks for keys and keeps them.
      await callTool(demo, other, "get_my_todo_list");
      // One after the other: a login that needs the discovery document waits for the fetch that is under way.
      const discovery = await hanging({ discovery_after: MINUTE }, "discovery");
      assert.equal((await outcome(discovery)).get("error"), "temporarily_unavailable");
      const keys = await hanging({ jwks_after: MINUTE }, "jwks");
      assert.equal((await outcome(keys)).get("error"), "temporarily_unavailable");
      await worksAgain();
    });
  });

  describe("the API accepts and does not answer", { concurrency: 1 }, () => {
    let demo, api, calls;
    before(async () => {
      calls = 0;
      // Counts, and says nothing.
      api = createServer(() => (calls += 1)).listen(0, "127.0.0.1");
      await once(api, "listening");
      demo = await Demo.start({ apiUrl: `http://127.0.0.1:${api.address().port}` });
    });
    after(async () => {
      await demo?.stop();
      api.closeAllConnections();
      api.close();
    });

    test("eight calls end with an error of the tool, and others go on", async () => {
      const client_id = await register(demo.at("/register"));
      const mine = (await logIn(demo, client_id, alice)).access_token;
      const other = (await logIn(demo, client_id, bob)).access_token;
      const results = watched(Promise.all(Array.from({ length: 8 }, () => callTool(demo, mine, "get_my_todo_list"))));
      await until(() => calls >= 8, results);
      assert.equal(await metadata(demo), 200);
      assert.equal((await callTool(demo, other, "who_am_i")).structuredContent.user.username, "bob");
      assert.ok((await ask(demo, other, "tools/list")).tools.length > 0);
      assert.equal(results.done, false, "the others had to wait");
      for (const { isError } of await results.result) assert.equal(isError, true);
      assert.ok(results.milliseconds < PATIENCE, `${results.milliseconds} ms`);
      assert.ok(await isGood(demo, mine));
    });
  });
});
