// What happens many times at once over HTTP happens once, and to the right person.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";

import { Browser } from "./browser.js";
import { alice, bob, Demo } from "./demo.js";
import { authorizationRequest, logIn, redemption, REDIRECT_URI, register } from "./login.js";
import { callTool, isGood } from "./mcp.js";

describe("at once", { timeout: 240_000 }, () => {
  let demo, client_id;
  before(async () => {
    demo = await Demo.start();
    client_id = await register(demo.at("/register"));
    // What is fetched once, such as PingOne's keys, is there.
    await logIn(demo, client_id, alice);
  });
  after(() => demo?.stop());

  const token = async (form) => {
    const answer = await fetch(demo.at("/token"), { method: "POST", body: new URLSearchParams({ client_id, ...form }) });
    return { status: answer.status, ...(await answer.json()) };
  };
  const refresh = ({ refresh_token }) => token({ grant_type: "refresh_token", refresh_token });
  const times = (count, act) => Promise.all(Array.from({ length: count }, (_, index) => act(index)));
  /** A browser at the approval page, for a new request. */
  const atApproval = async () => {
    const browser = new Browser();
    const query = authorizationRequest(client_id, randomBytes(32).toString("base64url"));
    return { browser, page: await browser.open(demo.at(`/authorize?${query}`)) };
  };

  test("of twenty redemptions of one code at most one succeeds, in twelve rounds", async () => {
    let redeemed = 0;
    for (let round = 1; round <= 12; round += 1) {
      const form = await redemption(demo, client_id, alice);
      const answers = await times(20, () => token(form));
      const good = answers.filter(({ status }) => status === 200);
      assert.ok(good.length <= 1, `${good.length} in round ${round}`);
      for (const answer of answers.filter((answer) => !good.includes(answer))) {
        assert.deepEqual([answer.status, answer.error], [400, "invalid_grant"]);
      }
      redeemed += good.length;
    }
    assert.equal(redeemed, 12, "a code that nobody gets is no race won");
  });

  test("after ten refreshes with one token the person is still logged in", async () => {
    const answers = await logIn(demo, client_id, alice).then((tokens) => times(10, () => refresh(tokens)));
    for (const { status } of answers) assert.ok(status === 200 || status === 400, String(status));
    const working = [];
    for (const pair of answers.filter(({ status }) => status === 200)) {
      if (await isGood(demo, pair.access_token)) working.push(pair);
    }
    assert.ok(working.length > 0, JSON.stringify(answers.map(({ status, error }) => ({ status, error }))));
    assert.equal((await refresh(working.at(-1))).status, 200);
  });

  test("of ten approvals of one page at most one leads to a login", async () => {
    const { browser, page } = await atApproval();
    const answers = await times(10, () => browser.press(page, "approve", {}, demo.atPingOne("/")));
    assert.equal(answers.filter(({ answered }) => !answered).length, 1);
    for (const { status } of answers.filter(({ answered }) => answered)) assert.equal(status, 409);
  });

  test("of ten callbacks of one login at most one gives a code, and PingOne is asked once", async () => {
    const { browser, page } = await atApproval();
    const atSignOn = await browser.press(page, "approve", {});
    const atConsent = await browser.press(atSignOn, "SIGNON", bob, demo.at("/callback"));
    const back = atConsent.answered ? await browser.press(atConsent, "APPROVE", {}, demo.at("/callback")) : atConsent;
    const before = await demo.asked("token");
    const answers = await times(10, () => browser.open(back.url, REDIRECT_URI));
    const arrived = answers.filter(({ answered }) => !answered);
    assert.equal(arrived.length, 1);
    assert.ok(arrived[0].url.searchParams.get("code"), arrived[0].url.href);
    for (const { status } of answers.filter(({ answered }) => answered)) assert.equal(status, 400);
    assert.equal(await demo.asked("token"), before + 1);
  });

  test("of twenty logins of two people each gets their own", async () => {
    const who = await times(20, async (index) => {
      const person = index % 2 ? alice : bob;
      const { access_token } = await logIn(demo, client_id, person);
      const { structuredContent } = await callTool(demo, access_token, "who_am_i");
      return { is: structuredContent.user.username, shouldBe: person.username };
    });
    assert.deepEqual(who.map(({ is }) => is), who.map(({ shouldBe }) => shouldBe));
  });
});
