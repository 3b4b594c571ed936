// A response promises a durable change: after a crash, codes stay redeemed, tokens stay revoked, and no user is logged out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { alice, bob, Demo } from "./demo.js";
import { logIn, redemption, register } from "./login.js";
import { isAccepted } from "./mcp.js";

const ROUNDS = 5;
const EACH = 4;

test("acknowledged changes survive kill -9 under load", { timeout: 300_000 }, async () => {
  const demo = await Demo.start();
  try {
    const client_id = await register(demo.at("/register"));
    const post = (path, form) => fetch(demo.at(path), { method: "POST", body: new URLSearchParams({ client_id, ...form }) });
    const refresh = (refresh_token) => post("/token", { grant_type: "refresh_token", refresh_token });
    const several = async (make) => {
      const made = [];
      // PingOne keeps ten sessions of a user, and the end of an older one ends its grant.
      for (let number = 0; number < EACH; number += 1) made.push(await make(number % 2 ? alice : bob));
      return made;
    };
    const seen = { redeemed: 0, refreshed: 0, revoked: 0 };
    for (let round = 1; round <= ROUNDS; round += 1) {
      const codes = await several((user) => redemption(demo, client_id, user));
      const clients = await several((user) => logIn(demo, client_id, user));
      const revocations = await several((user) => logIn(demo, client_id, user));
      const redeemed = [];
      const revoked = [];
      let crashed = false;
      // A request without a response when the process dies may or may not have taken effect.
      const load = [
        ...codes.map(async (form) => {
          await sleep(Math.random() * 300);
          const response = await post("/token", form);
          redeemed.push({ form, tokens: await response.json() });
        }),
        ...clients.map(async (client) => {
          // A request that was not sent when the process died may reach the next process.
          while (!crashed) {
            const response = await refresh(client.refresh_token);
            const tokens = await response.json();
            assert.equal(response.status, 200, JSON.stringify(tokens));
            Object.assign(client, tokens);
            seen.refreshed += 1;
          }
        }),
        ...revocations.map(async (tokens) => {
          await sleep(Math.random() * 300);
          const response = await post("/revoke", { token: tokens.refresh_token });
          if (response.status === 200) revoked.push(tokens);
        }),
      ];
      const failures = [];
      const done = load.map((work) => work.catch((error) => error instanceof TypeError || failures.push(error)));
      // Crash in the middle: when some requests have their responses, and others do not.
      const before = seen.refreshed;
      while (!failures.length && !(redeemed.length && revoked.length && seen.refreshed > before)) await sleep(5);
      await sleep(Math.random() * 50);
      crashed = true;
      await demo.crash();
      await Promise.all(done);
      assert.deepEqual(failures, []);
      seen.redeemed += redeemed.length;
      seen.revoked += revoked.length;
      for (const tokens of revoked) {
        assert.equal(await isAccepted(demo, tokens.access_token), false, "a revoked token is valid again");
        assert.equal((await refresh(tokens.refresh_token)).status, 400);
      }
      for (const client of clients) {
        assert.equal(await isAccepted(demo, client.access_token), true, "a token that was issued is lost");
        assert.equal((await refresh(client.refresh_token)).status, 200);
      }
      for (const { form, tokens } of redeemed) {
        assert.equal(await isAccepted(demo, tokens.access_token), true, "a token that was issued is lost");
        assert.equal((await post("/token", form)).status, 400, "a code was redeemed twice");
        assert.equal(await isAccepted(demo, tokens.access_token), false, "a replayed code did not revoke its tokens");
      }
    }
    // Each kind of request was under way in the crashes.
    for (const [what, count] of Object.entries(seen)) assert.ok(count >= ROUNDS, `${what}: ${count}`);
  } finally {
    await demo.stop();
  }
});
