// Takes the pictures in docs/screenshots: pages of the demo on a desktop and on a phone, each light and dark.
//
// `./dev screenshots` runs it.

import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { Demo, alice, repository } from "./demo.js";
import { send } from "./mcp.js";

const DESKTOP = { width: 760, height: 480 };
const PHONE = { width: 360, height: 740 };
/** The redirect URIs of the applications in the pictures. Nothing is sent there. */
const LOOPBACK = "http://localhost:33418/callback";
const HOSTED = "https://notes.example/cb";
const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/** The URL at which the browser went back to an application last. */
let arrival;
const isArrival = (request) => [LOOPBACK, HOSTED].some((uri) => request.url().startsWith(uri));

const demo = await Demo.start();
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [...(process.getuid() === 0 ? ["--no-sandbox"] : []), "--disable-gpu", "--disable-background-networking"],
});
try {
  const context = await browser.newContext({ viewport: DESKTOP });
  const page = await context.newPage();
  // Nothing responds at the addresses of the applications.
  context.on("request", (request) => isArrival(request) && (arrival = new URL(request.url())));

  await page.goto(demo.at("/"));
  await picture(page, "home");

  const code = await connect(context, "Claude Code", LOOPBACK);
  await call(await tokens(code), "get_my_todo_list", {});
  const notes = await register("Notes assistant", HOSTED);
  await page.goto(authorization(notes, HOSTED));
  await picture(page, "approval");
  const second = await connect(context, "Notes assistant", HOSTED, notes);
  await call(await tokens(second), "create_new_todo", { text: "Buy milk" });

  await page.goto(demo.at("/agents"));
  arrival = null;
  await press(page, "sign-in");
  await signOn(page);
  await picture(page, "your-agents");
  await press(page, "sign-out");
  await demo.force({ token: [400, "invalid_client"] });
  await page.goto(demo.at("/agents"));
  await press(page, "sign-in");
  await picture(page, "failed-login");
} finally {
  await browser.close();
  await demo.stop();
}

/** Writes two pictures of the page, on a desktop and on a phone, each light and dark side by side. */
async function picture(page, name) {
  for (const [device, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
    await page.setViewportSize(viewport);
    const shots = [];
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      shots.push((await page.screenshot({ fullPage: true })).toString("base64"));
    }
    const pair = await browser.newPage({ viewport: { width: 2 * viewport.width, height: 100 } });
    const images = shots.map((shot) => `<img src="data:image/png;base64,${shot}">`).join("");
    await pair.setContent(`<body style="margin:0;display:flex;align-items:flex-start;background:#888">${images}`);
    const file = join(repository, "docs/screenshots", `${name}-${device}.png`);
    await writeFile(file, await pair.screenshot({ fullPage: true }));
    await pair.close();
    const { status, error } = spawnSync("pngquant", ["--force", "--nofs", "--speed", "1", "--strip", "--ext", ".png", "16", file]);
    if (error || status !== 0) throw new Error(`pngquant: ${error ?? status}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(DESKTOP);
}

async function register(client_name, redirectUri) {
  const metadata = { client_name, redirect_uris: [redirectUri], token_endpoint_auth_method: "none" };
  const response = await fetch(demo.at("/register"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(metadata),
  });
  return (await response.json()).client_id;
}

function authorization(client_id, redirect_uri) {
  const query = { response_type: "code", client_id, redirect_uri, code_challenge: CHALLENGE, code_challenge_method: "S256" };
  return demo.at(`/authorize?${new URLSearchParams(query)}`);
}

/** Connects an application as Alice would, in a page of its own. Returns the token request. */
async function connect(context, name, redirect_uri, client_id) {
  client_id ??= await register(name, redirect_uri);
  const page = await context.newPage();
  await page.goto(authorization(client_id, redirect_uri));
  // The page ignores a click that comes at once.
  await page.waitForTimeout(1000);
  arrival = null;
  await press(page, "approve");
  await signOn(page);
  await page.close();
  const code = arrival.searchParams.get("code");
  return { grant_type: "authorization_code", client_id, code, code_verifier: VERIFIER, redirect_uri };
}

/** Presses a button, and waits for the page that it leads to, or for the return to an application. */
async function press(page, value) {
  const next = Promise.race([page.waitForEvent("load"), page.waitForEvent("request", isArrival)]);
  await Promise.all([next, page.click(`button[value=${value}]`)]);
}

/** Logs in at PingOne and consents, as far as its pages ask for it. */
async function signOn(page) {
  while (!arrival) {
    if (await page.locator("button[value=SIGNON]").count()) {
      await page.fill("[name=username]", alice.username);
      await page.fill("[name=password]", alice.password);
      await press(page, "SIGNON");
    } else if (await page.locator("button[value=APPROVE]").count()) {
      await press(page, "APPROVE");
    } else {
      return;
    }
  }
}

async function tokens(form) {
  const response = await fetch(demo.at("/token"), { method: "POST", body: new URLSearchParams(form) });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()).access_token;
}

async function call(token, name, args) {
  const response = await send(demo, token, { id: 1, method: "tools/call", params: { name, arguments: args } });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
}
