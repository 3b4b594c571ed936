// The pages of a login in Chromium, by keyboard. Leaves a picture of each in target/pages.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { auth } from "@modelcontextprotocol/client";
import { chromium } from "playwright-core";

import { Demo, alice, repository } from "./demo.js";
import { Wallet } from "./wallet.js";

const PICTURES = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), "pages");
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

describe("pages in Chromium", () => {
  let demo, browser, application;
  before(async () => {
    await mkdir(PICTURES, { recursive: true });
    // One after the other: what has started is known to `after` when the next fails.
    application = await Application.start();
    demo = await Demo.start();
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // As root, Chromium has no sandbox; and it shall not look for anything on the network.
      args: [
        ...(process.getuid() === 0 ? ["--no-sandbox"] : []),
        ...["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
        ...["--disable-component-update", "--disable-sync"],
      ],
    });
  });
  after(async () => {
    await browser?.close();
    application?.stop();
    await demo?.stop();
  });

  /** A person with an empty browser, at the page that an application asked them to open. */
  async function person() {
    const wallet = new Wallet("Pages");
    wallet.redirectUrl = application.redirectUrl;
    await auth(wallet, { serverUrl: demo.mcp });
    const context = await browser.newContext({ viewport: DESKTOP });
    const page = await context.newPage();
    const errors = [];
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(wallet.asked[0]);
    return { wallet, page, errors };
  }

  test("a whole login needs no more than a keyboard", async () => {
    const { wallet, page, errors } = await person();
    await look(page, "1-approval");
    await reach(page, "button[value=approve]");
    await follow(page, () => page.keyboard.press("Enter"));

    await look(page, "2-sign-on");
    await reach(page, "input[name=username]");
    await page.keyboard.type(alice.username);
    await reach(page, "input[name=password]");
    await page.keyboard.type("wrong");
    await follow(page, () => page.keyboard.press("Enter"));
    await look(page, "3-wrong-password");
    assert.match(await page.textContent("main"), /Incorrect username or password/);
    await reach(page, "input[name=username]");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type(alice.username);
    await reach(page, "input[name=password]");
    await page.keyboard.type(alice.password);
    await follow(page, () => page.keyboard.press("Enter"));

    await look(page, "4-consent");
    await reach(page, "button[value=APPROVE]");
    await follow(page, () => page.keyboard.press("Enter"));

    const parameters = wallet.received(application.arrival(page));
    const answer = { authorizationCode: parameters.get("code"), iss: parameters.get("iss") };
    assert.equal(await auth(wallet, { serverUrl: demo.mcp, ...answer }), "AUTHORIZED");
    // The one message is Chromium's own about a status of 4xx, if the page of the wrong password has one.
    assert.deepEqual(errors.filter((text) => !text.startsWith("Failed to load resource")), []);
    await page.context().close();
  });

  test("who denies comes back to the application with access_denied", async () => {
    const { wallet, page, errors } = await person();
    await reach(page, "button[value=deny]");
    await follow(page, () => page.keyboard.press("Enter"));
    const parameters = wallet.received(application.arrival(page));
    assert.equal(parameters.get("error"), "access_denied");
    assert.equal(parameters.get("iss"), demo.at(""));
    assert.deepEqual(errors, []);
    await page.context().close();
  });

  test("who declines at PingOne comes back to the application with access_denied", async () => {
    const { wallet, page } = await person();
    await follow(page, () => page.click("button[value=approve]"));
    await page.fill("input[name=username]", "bob");
    await page.fill("input[name=password]", "Bob-demo-1");
    await follow(page, () => page.keyboard.press("Enter"));
    await follow(page, () => page.click("button[value=DECLINE]"));
    assert.equal(wallet.received(application.arrival(page)).get("error"), "access_denied");
    await page.context().close();
  });

  test("a second click that another window let fall on the page decides nothing", async () => {
    const { wallet, page, errors } = await person();
    // The attacker's window is above the page and closes at the first click. Playwright has every page believe that it has
    // the focus, so that this page is told here what a browser tells it then.
    await page.addInitScript(() => { document.hasFocus = () => false; });
    await page.goto(wallet.asked[0]);
    const { x, y, width, height } = await page.locator("button[value=approve]").boundingBox();
    const click = () => page.mouse.click(x + width / 2, y + height / 2);
    await click();
    await page.waitForSelector("#again", { state: "visible" });
    await page.evaluate(() => dispatchEvent(new Event("focus")));
    await click();
    // Who goes on clicking gets no further.
    for (let clicks = 0; clicks < 4; clicks += 1) {
      await page.waitForTimeout(300);
      await click();
    }
    await look(page, "8-clicked-too-soon");
    assert.equal(new URL(page.url()).pathname, "/authorize");
    // A person has read it by then.
    await page.waitForTimeout(1000);
    await follow(page, click);
    assert.notEqual(new URL(page.url()).pathname, "/authorize");
    assert.deepEqual(errors, []);
    await page.context().close();
  });

  test("without scripts there is a box to tick", async () => {
    const { wallet, page } = await person();
    await page.context().close();
    // Also how a sandboxed window of another site would show it.
    const context = await browser.newContext({ viewport: DESKTOP, javaScriptEnabled: false });
    const scriptless = await context.newPage();
    await scriptless.goto(wallet.asked[0]);
    await look(scriptless, "9-without-scripts");
    await scriptless.click("button[value=approve]");
    await scriptless.waitForTimeout(500);
    assert.equal(new URL(scriptless.url()).pathname, "/authorize");
    await scriptless.check("input[type=checkbox]");
    await follow(scriptless, () => scriptless.click("button[value=approve]"));
    assert.notEqual(new URL(scriptless.url()).origin, demo.at(""));
    await context.close();
  });

  test("registration, recovery and what went wrong are readable on a phone", async () => {
    const { page } = await person();
    await follow(page, () => page.click("button[value=approve]"));
    await follow(page, () => page.click("button[value=REGISTER]"));
    await look(page, "5-registration");
    await page.goBack();
    await follow(page, () => page.click("button[value=TROUBLE]"));
    await look(page, "6-recovery");
    const answer = await page.goto(demo.at("/authorize?client_id=nobody"));
    assert.equal(answer.status(), 400);
    await look(page, "7-unknown-application");
    await page.context().close();
  });
});

/** Takes a picture of a page on a desktop and on a phone, where it must fit the width. */
async function look(page, name) {
  await page.screenshot({ path: join(PICTURES, `${name}-desktop.png`) });
  await page.setViewportSize(PHONE);
  await page.screenshot({ path: join(PICTURES, `${name}-390px.png`), fullPage: true });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= PHONE.width, `${name} is ${width} pixels wide`);
  await page.setViewportSize(DESKTOP);
}

/** Presses Tab until what `selector` names has the focus, which must then be visible. */
async function reach(page, selector) {
  const focused = () => page.evaluate((wanted) => document.activeElement?.matches(wanted), selector);
  for (let presses = 0; !(await focused()); presses += 1) {
    assert.ok(presses < 30, `no way by keyboard to ${selector} at ${page.url()}`);
    await page.keyboard.press("Tab");
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", `no focus to see on ${selector}`);
}

/** Does what leads to another page, and waits for that. */
async function follow(page, act) {
  await Promise.all([page.waitForEvent("load"), act()]);
}

/** An application on this computer that waits for its answer. */
class Application {
  static async start() {
    const application = new Application();
    application.server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<p>Done."));
    await new Promise((resolve) => application.server.listen(0, "127.0.0.1", resolve));
    application.redirectUrl = `http://127.0.0.1:${application.server.address().port}/callback`;
    return application;
  }

  /** The URL at which the browser has arrived. */
  arrival(page) {
    assert.ok(page.url().startsWith(this.redirectUrl), page.url());
    return new URL(page.url());
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
