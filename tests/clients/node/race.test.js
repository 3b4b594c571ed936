// Concurrent requests: a single-use value is used once, and each user gets their own grant.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { Browser } from "./browser.js";
import { alice, bob, Demo } from "./demo.js";
import { authorizationRequest, logIn, redemption, REDIRECT_URI, register } from "./login.js";
import { callTool, isAccepted } from "./mcp.js";

describe("concurrent requests", { timeout: 240_000 }, () => {
  let demo, client_id;
  before(async () => {
    demo = await Demo.start();
    client_id = await register(demo.at("/register"));
    // After one login, Deputy has cached PingOne's keys.
    await logIn(demo, client_id, alice);
  });
  after(() => demo?.stop());

  const token = async (form) => {
    const response = await fetch(demo.at("/token"), { method: "POST", body: new URLSearchParams({ client_id, ...form }) });
    return { status: response.status, ...(await response.json()) };
  };
  const refresh = ({ refresh_token }) => token({ grant_type: "refresh_token", refresh_token });
  const times = (count, act) => Promise.all(Array.from({ length: count }, (_, index) => act(index)));
  /** A browser at the approval page of a new authorization request. */
  const atApproval = async () => {
    const browser = new Browser();
    const query = authorizationRequest(client_id, randomBytes(32).toString("base64url"));
    return { browser, page: await browser.open(demo.at(`/authorize?${query}`)) };
  };

  test("one of twenty redemptions of a code succeeds", async () => {
    let redeemed = 0;
    for (let round = 1; round <= 12; round += 1) {
      const form = await redemption(demo, client_id, alice);
      const responses = await times(20, () => token(form));
      const good = responses.filter(({ status }) => status === 200);
      assert.ok(good.length <= 1, `${good.length} in round ${round}`);
      for (const response of responses.filter((response) => !good.includes(response))) {
        assert.deepEqual([response.status, response.error], [400, "invalid_grant"]);
      }
      redeemed += good.length;
    }
    assert.equal(redeemed, 12, "one redemption succeeds in every round");
  });

  test("ten refreshes with one token keep the user logged in", async () => {
    const responses = await logIn(demo, client_id, alice).then((tokens) => times(10, () => refresh(tokens)));
    for (const { status } of responses) assert.ok(status === 200 || status === 400, String(status));
    const working = [];
    for (const pair of responses.filter(({ status }) => status === 200)) {
      if (await isAccepted(demo, pair.access_token)) working.push(pair);
    }
    assert.ok(working.length > 0, JSON.stringify(responses.map(({ status, error }) => ({ status, error }))));
    assert.equal((await refresh(working.at(-1))).status, 200);
  });

  test("one of ten approvals of a page starts a login", async () => {
    const { browser, page } = await atApproval();
    const responses = await times(10, () => browser.press(page, "approve", {}, demo.atPingOne("/")));
    assert.equal(responses.filter(({ loaded }) => !loaded).length, 1);
    for (const { status } of responses.filter(({ loaded }) => loaded)) assert.equal(status, 409);
  });

  test("one of ten callbacks of a login redeems PingOne's code", async () => {
    const { browser, page } = await atApproval();
    const atSignOn = await browser.press(page, "approve", {});
    const atConsent = await browser.press(atSignOn, "SIGNON", bob, demo.at("/callback"));
    const back = atConsent.loaded ? await browser.press(atConsent, "APPROVE", {}, demo.at("/callback")) : atConsent;
    const before = await demo.requestsTo("token");
    const responses = await times(10, () => browser.open(back.url, REDIRECT_URI));
    const arrived = responses.filter(({ loaded }) => !loaded);
    assert.equal(arrived.length, 1);
    assert.ok(arrived[0].url.searchParams.get("code"), arrived[0].url.href);
    for (const { status } of responses.filter(({ loaded }) => loaded)) assert.equal(status, 400);
    assert.equal(await demo.requestsTo("token"), before + 1);
  });

  test("concurrent logins of two users are kept apart", async () => {
    const names = await times(20, async (index) => {
      const user = index % 2 ? alice : bob;
      const { access_token } = await logIn(demo, client_id, user);
      const { structuredContent } = await callTool(demo, access_token, "who_am_i");
      return { actual: structuredContent.user.username, expected: user.username };
    });
    assert.deepEqual(names.map(({ actual }) => actual), names.map(({ expected }) => expected));
  });
});
