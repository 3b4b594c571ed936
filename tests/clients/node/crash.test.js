// What was answered is durable: used stays used, revoked stays revoked, and nobody is logged out by a crash.

import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { alice, Demo } from "./demo.js";
import { logIn, redemption, register } from "./login.js";
import { isGood } from "./mcp.js";

const ROUNDS = 5;
const EACH = 4;

test("what was answered before kill -9 holds after it, five times under load", { timeout: 300_000 }, async () => {
  const demo = await Demo.start();
  try {
    const client_id = await register(demo.at("/register"));
    const post = (path, form) => fetch(demo.at(path), { method: "POST", body: new URLSearchParams({ client_id, ...form }) });
    const refresh = (refresh_token) => post("/token", { grant_type: "refresh_token", refresh_token });
    const several = async (make) => {
      const made = [];
      for (let number = 0; number < EACH; number += 1) made.push(await make());
      return made;
    };
    const seen = { redeemed: 0, refreshed: 0, revoked: 0 };
    for (let round = 1; round <= ROUNDS; round += 1) {
      const codes = await several(() => redemption(demo, client_id, alice));
      const holders = await several(() => logIn(demo, client_id, alice));
      const leavers = await several(() => logIn(demo, client_id, alice));
      const redeemed = [];
      const revoked = [];
      let crashed = false;
      // What has no answer when the process dies has been promised to nobody.
      const load = [
        ...codes.map(async (form) => {
          await sleep(Math.random() * 300);
          const answer = await post("/token", form);
          redeemed.push({ form, tokens: await answer.json() });
        }),
        ...holders.map(async (holder) => {
          // A request that had not left when the process died may be sent to the next one.
          while (!crashed) {
            const answer = await refresh(holder.refresh_token);
            const tokens = await answer.json();
            assert.equal(answer.status, 200, JSON.stringify(tokens));
            Object.assign(holder, tokens);
            seen.refreshed += 1;
          }
        }),
        ...leavers.map(async (leaver) => {
          await sleep(Math.random() * 300);
          const answer = await post("/revoke", { token: leaver.refresh_token });
          if (answer.status === 200) revoked.push(leaver);
        }),
      ];
      const failures = [];
      const done = load.map((work) => work.catch((error) => error instanceof TypeError || failures.push(error)));
      // In the middle: some have their answers, and some have not.
      const before = seen.refreshed;
      while (!failures.length && !(redeemed.length && revoked.length && seen.refreshed > before)) await sleep(5);
      await sleep(Math.random() * 50);
      crashed = true;
      await demo.crash();
      await Promise.all(done);
      assert.deepEqual(failures, []);
      seen.redeemed += redeemed.length;
      seen.revoked += revoked.length;
      for (const leaver of revoked) {
        assert.equal(await isGood(demo, leaver.access_token), false, "what was revoked is good again");
        assert.equal((await refresh(leaver.refresh_token)).status, 400);
      }
      for (const holder of holders) {
        assert.equal(await isGood(demo, holder.access_token), true, "a token that was issued is lost");
        assert.equal((await refresh(holder.refresh_token)).status, 200);
      }
      for (const { form, tokens } of redeemed) {
        assert.equal(await isGood(demo, tokens.access_token), true, "a token that was issued is lost");
        assert.equal((await post("/token", form)).status, 400, "a code was redeemed twice");
        assert.equal(await isGood(demo, tokens.access_token), false, "a replayed code left its tokens");
      }
    }
    // The load was there.
    for (const [what, count] of Object.entries(seen)) assert.ok(count >= ROUNDS, `${what}: ${count}`);
  } finally {
    await demo.stop();
  }
});
