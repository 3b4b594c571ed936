// The pages of a login in Chromium. Screenshots of each are in target/pages.

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
    // One after the other, so that `after` can stop those that have started when a later one fails.
    application = await Application.start();
    demo = await Demo.start();
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // As root, Chromium needs --no-sandbox. The other flags keep it off the network.
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

  /** A new browser context at the approval page of a new client. */
  async function atApproval(redirectUrl = application.redirectUrl) {
    const wallet = new Wallet("Pages");
    wallet.redirectUrl = redirectUrl;
    await auth(wallet, { serverUrl: demo.mcp });
    const context = await browser.newContext({ viewport: DESKTOP });
    const page = await context.newPage();
    const errors = [];
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(wallet.opened[0]);
    return { wallet, page, errors };
  }

  test("login works with the keyboard alone", async () => {
    const { wallet, page, errors } = await atApproval();
    await capture(page, "1-approval");
    await reach(page, "button[value=approve]");
    await follow(page, () => page.keyboard.press("Enter"));

    await capture(page, "2-sign-on");
    await reach(page, "input[name=username]");
    await page.keyboard.type(alice.username);
    await reach(page, "input[name=password]");
    await page.keyboard.type("wrong");
    await follow(page, () => page.keyboard.press("Enter"));
    await capture(page, "3-wrong-password");
    assert.match(await page.textContent("main"), /Incorrect username or password/);
    await reach(page, "input[name=username]");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type(alice.username);
    await reach(page, "input[name=password]");
    await page.keyboard.type(alice.password);
    await follow(page, () => page.keyboard.press("Enter"));

    await capture(page, "4-consent");
    await reach(page, "button[value=APPROVE]");
    await follow(page, () => page.keyboard.press("Enter"));

    const parameters = wallet.received(application.arrival(page));
    const response = { authorizationCode: parameters.get("code"), iss: parameters.get("iss") };
    assert.equal(await auth(wallet, { serverUrl: demo.mcp, ...response }), "AUTHORIZED");
    // Chromium itself logs a status of 4xx, which the page for a wrong password may have.
    assert.deepEqual(errors.filter((text) => !text.startsWith("Failed to load resource")), []);
    await page.context().close();
  });

  test("denied approval returns access_denied to the client", async () => {
    const { wallet, page, errors } = await atApproval();
    await reach(page, "button[value=deny]");
    await follow(page, () => page.keyboard.press("Enter"));
    const parameters = wallet.received(application.arrival(page));
    assert.equal(parameters.get("error"), "access_denied");
    assert.equal(parameters.get("iss"), demo.at(""));
    assert.deepEqual(errors, []);
    await page.context().close();
  });

  test("consent declined at PingOne returns access_denied", async () => {
    const { wallet, page } = await atApproval();
    await follow(page, () => page.click("button[value=approve]"));
    await page.fill("input[name=username]", "bob");
    await page.fill("input[name=password]", "Bob-demo-1");
    await follow(page, () => page.keyboard.press("Enter"));
    await follow(page, () => page.click("button[value=DECLINE]"));
    assert.equal(wallet.received(application.arrival(page)).get("error"), "access_denied");
    await page.context().close();
  });

  test("login for an application's own scheme ends on a page", async () => {
    const redirectUrl = "cursor://anysphere.cursor-mcp/oauth/callback";
    const { page, errors } = await atApproval(redirectUrl);
    const opened = [];
    const session = await page.context().newCDPSession(page);
    await session.send("Page.enable");
    session.on("Page.frameRequestedNavigation", ({ reason, url }) => opened.push([reason, url.split("=")[0]]));
    await capture(page, "10-own-scheme");
    await follow(page, () => page.click("button[value=approve]"));
    await page.fill("input[name=username]", "bob");
    await page.fill("input[name=password]", "Bob-demo-1");
    await follow(page, () => page.keyboard.press("Enter"));
    await follow(page, () => page.click("button[value=APPROVE]"));
    await page.waitForTimeout(500);
    assert.equal(await page.textContent("h1"), "Connected to Pages");
    await capture(page, "11-connected");
    assert.deepEqual(opened.at(-1), ["metaTagRefresh", `${redirectUrl}?code`]);
    // Chromium's own question is in front of the page now, so the link cannot be clicked.
    const link = await page.getAttribute("a.button", "href");
    assert.ok(link.startsWith(`${redirectUrl}?code=`), link);
    // Chromium logs that no program handles the scheme.
    assert.deepEqual(errors.filter((text) => !text.startsWith("Failed to launch")), []);
    await page.context().close();
  });

  test("second click of a double click through a window is ignored", async () => {
    const { wallet, page, errors } = await atApproval();
    // The attacker's window covers the page and closes at the first click. Playwright gives every page the focus, so the
    // test overrides `hasFocus` as a browser would report it.
    await page.addInitScript(() => { document.hasFocus = () => false; });
    await page.goto(wallet.opened[0]);
    const approve = page.locator("button[value=approve]");
    await approve.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await approve.boundingBox();
    const click = () => page.mouse.click(x + width / 2, y + height / 2);
    await click();
    await page.waitForSelector("#again", { state: "visible" });
    await page.evaluate(() => dispatchEvent(new Event("focus")));
    await click();
    // Further clicks in quick succession are ignored, too.
    for (let clicks = 0; clicks < 4; clicks += 1) {
      await page.waitForTimeout(300);
      await click();
    }
    await capture(page, "8-clicked-too-soon");
    assert.equal(new URL(page.url()).pathname, "/authorize");
    // After a pause, a click counts.
    await page.waitForTimeout(1000);
    await follow(page, click);
    assert.notEqual(new URL(page.url()).pathname, "/authorize");
    assert.deepEqual(errors, []);
    await page.context().close();
  });

  test("approval without scripts requires the checkbox", async () => {
    const { wallet, page } = await atApproval();
    await page.context().close();
    // A sandboxed window of another site would show the page like this, too.
    const context = await browser.newContext({ viewport: DESKTOP, javaScriptEnabled: false });
    const scriptless = await context.newPage();
    await scriptless.goto(wallet.opened[0]);
    await capture(scriptless, "9-without-scripts");
    await scriptless.click("button[value=approve]");
    await scriptless.waitForTimeout(500);
    assert.equal(new URL(scriptless.url()).pathname, "/authorize");
    await scriptless.check("input[required]");
    await follow(scriptless, () => scriptless.click("button[value=approve]"));
    assert.notEqual(new URL(scriptless.url()).origin, demo.at(""));
    await context.close();
  });

  test("registration, recovery and error pages fit a phone", async () => {
    const { page } = await atApproval();
    await follow(page, () => page.click("button[value=approve]"));
    await follow(page, () => page.click("button[value=REGISTER]"));
    await capture(page, "5-registration");
    await page.goBack();
    await follow(page, () => page.click("button[value=TROUBLE]"));
    await capture(page, "6-recovery");
    const response = await page.goto(demo.at("/authorize?client_id=nobody"));
    assert.equal(response.status(), 400);
    await capture(page, "7-unknown-application");
    await page.context().close();
  });
});

/** Takes screenshots on a desktop and on a phone, and checks that the page fits the width of the phone. */
async function capture(page, name) {
  await page.screenshot({ path: join(PICTURES, `${name}-desktop.png`) });
  await page.setViewportSize(PHONE);
  await page.screenshot({ path: join(PICTURES, `${name}-390px.png`), fullPage: true });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= PHONE.width, `${name} is ${width} pixels wide`);
  await page.setViewportSize(DESKTOP);
}

/** Presses Tab until the element has the focus, and checks that the focus is visible. */
async function reach(page, selector) {
  const focused = () => page.evaluate((wanted) => document.activeElement?.matches(wanted), selector);
  for (let presses = 0; !(await focused()); presses += 1) {
    assert.ok(presses < 30, `the keyboard does not reach ${selector} at ${page.url()}`);
    await page.keyboard.press("Tab");
  }
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none", `the focus on ${selector} is not visible`);
}

/** Does `act`, which opens another page, and waits until that page has loaded. */
async function follow(page, act) {
  await Promise.all([page.waitForEvent("load"), act()]);
}

/** The redirect URI of a program on this computer. */
class Application {
  static async start() {
    const application = new Application();
    application.server = createServer((_, response) => response.setHeader("content-type", "text/html").end("<p>Done."));
    await new Promise((resolve) => application.server.listen(0, "127.0.0.1", resolve));
    application.redirectUrl = `http://127.0.0.1:${application.server.address().port}/callback`;
    return application;
  }

  /** The URL of the browser, which must be at the redirect URI. */
  arrival(page) {
    assert.ok(page.url().startsWith(this.redirectUrl), page.url());
    return new URL(page.url());
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
