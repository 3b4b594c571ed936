// Who reads what Deputy has left on the disk, or in its log, can do nothing with it.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Browser, formWith } from "./browser.js";
import { alice, bob, Demo } from "./demo.js";
import { authorizationRequest, REDIRECT_URI, register } from "./login.js";
import { ask, asking, callTool, canAsk, isGood, send } from "./mcp.js";
import { authorize } from "./person.js";

/** Files that hold secrets because it is their purpose, in every demo and in no other Deputy. */
const EXCEPTIONS = {
  "pingone.json": "the simulator stands for PingOne, and these are its own records",
  "workerd.env": "wrangler gives the Worker its secrets from this file, which stands for those of Cloudflare",
  "cookie-encryption-key": "the demo makes this key itself; an operator gives it in the environment",
};

describe("after a whole life", { timeout: 240_000 }, () => {
  let demo, life, files;
  const secrets = new Map();

  before(async () => {
    demo = await Demo.start({ env: { LOG: "trace" } });
    life = await live(demo, (secret, what) => secrets.set(secret, what));
    // Read twice: some of it is in a journal until the process ends.
    files = await read(demo.folder, "while it ran");
    await demo.end();
    for (const [name, bytes] of await read(demo.folder, "at the end")) files.set(name, bytes);
    // What is there to be found, also of what only PingOne has.
    const exempt = (name) => [...files].filter(([file]) => file.includes(`${name} `)).map(([, bytes]) => bytes.toString());
    for (const { current, rotated } of exempt("pingone.json").flatMap((text) => JSON.parse(text).families)) {
      for (const token of [current, ...rotated.map(([token]) => token)]) secrets.set(token, "PingOne's refresh token");
    }
    for (const key of exempt("cookie-encryption-key")) secrets.set(key.trim(), "COOKIE_ENCRYPTION_KEY");
    for (const file of files.keys()) {
      if (Object.keys(EXCEPTIONS).some((name) => file.includes(`/${name} `))) files.delete(file);
    }
  });
  after(() => demo?.stop());

  test("every kind of secret was there to be found", () => {
    const kinds = new Set(secrets.values());
    for (const kind of KINDS) assert.ok(kinds.has(kind), kind);
    assert.ok([...secrets.keys()].every((secret) => secret.length >= 16), "short texts are found by chance");
  });

  test("a secret is found in whatever form it is written", () => {
    const secret = randomBytes(32).toString("base64");
    const inside = [
      secret,
      Buffer.from(secret).toString("hex").toUpperCase(),
      ...["", "x", "xy"].map((before) => Buffer.from(`${before}${secret} and more`).toString("base64")),
      ...["", "x", "xy"].map((before) => Buffer.from(`${before}${secret} and more`).toString("base64url")),
      encodeURIComponent(secret),
      Buffer.from(secret, "base64").toString("hex"),
      JSON.stringify([...Buffer.from(secret)]),
      // SQLite goes on elsewhere where a page is full.
      secret.slice(0, 30),
    ];
    for (const text of inside) assert.ok(shows(Buffer.from(`before ${text} after`), secret), text);
    assert.ok(shows(Buffer.concat([Buffer.from("before"), Buffer.from(secret, "base64")]), secret), "as bytes");
    assert.ok(!shows(Buffer.from(`before ${randomBytes(32).toString("base64")} after`), secret));
  });

  test("what lies in the data folder opens nothing", () => {
    const read = [...files.values()];
    // These are the right files: they have what they may have.
    for (const id of life.clients) assert.ok(read.some((bytes) => bytes.includes(id)), `no file has the client ${id}`);
    for (const [file, bytes] of files) {
      for (const [secret, what] of secrets) assert.ok(!shows(bytes, secret), `${file} has: ${what}`);
    }
  });

  test("the log of everything holds no secret", () => {
    const log = Buffer.from(demo.output);
    for (const path of ["/callback", "/token", "/mcp"]) assert.ok(log.includes(path), `nothing of ${path} in:\n${log}`);
    for (const [secret, what] of secrets) assert.ok(!shows(log, secret), `${what} is in:\n${log}`);
  });

  test("no line of the log has the query of a callback", () => {
    for (const line of demo.output.split("\n")) assert.doesNotMatch(line, /callback\?|[?&](code|state|nonce)=/, line);
  });
});

const KINDS = [
  "an access token",
  "an approval page's handle",
  "a code",
  "a client's secret",
  "a cookie",
  "a PKCE verifier",
  "a refresh token",
  "a wrong secret",
  "COOKIE_ENCRYPTION_KEY",
  "Deputy's nonce for PingOne",
  "Deputy's state for PingOne",
  "PingOne's access token",
  "PingOne's code",
  "PingOne's refresh token",
];

/** What goes well and what goes wrong, for a public and a confidential client. `keep` gets every secret. */
async function live(demo, keep) {
  const browsers = [];
  const post = (path, form, headers) => fetch(demo.at(path), { method: "POST", headers, body: new URLSearchParams(form) });
  const verifier = () => {
    const made = randomBytes(32).toString("base64url");
    keep(made, "a PKCE verifier");
    return made;
  };
  const newBrowser = () => {
    browsers.push(new Browser());
    return browsers.at(-1);
  };
  /** Where a client's request for a code ends: at its redirect URI. */
  const arrive = async (client, person) => {
    const code_verifier = verifier();
    const url = demo.at(`/authorize?${authorizationRequest(client.client_id, code_verifier)}`);
    const { arrival } = await authorize(url, REDIRECT_URI, person, newBrowser());
    const code = arrival.searchParams.get("code");
    if (code) keep(code, "a code");
    return { code, code_verifier, error: arrival.searchParams.get("error") };
  };
  const token = async (client, form, secret = client.client_secret) => {
    const basic = secret && { authorization: `Basic ${btoa(`${client.client_id}:${secret}`)}` };
    const answer = await post("/token", { ...form, ...(!secret && { client_id: client.client_id }) }, basic);
    const tokens = await answer.json();
    if (tokens.access_token) keep(tokens.access_token, "an access token");
    if (tokens.refresh_token) keep(tokens.refresh_token, "a refresh token");
    return { status: answer.status, ...tokens };
  };
  const logIn = async (client, person) => {
    const { code, code_verifier } = await arrive(client, person);
    const form = { grant_type: "authorization_code", code, code_verifier, redirect_uri: REDIRECT_URI };
    const tokens = await token(client, form);
    assert.equal(tokens.status, 200, JSON.stringify(tokens));
    return { form, tokens };
  };
  const refresh = (client, { refresh_token }) => token(client, { grant_type: "refresh_token", refresh_token });
  const whoAmI = async ({ access_token }) => {
    const { structuredContent } = await callTool(demo, access_token, "who_am_i");
    keep(structuredContent.accessToken.raw, "PingOne's access token");
  };

  const open = { client_id: await register(demo.at("/register")) };
  const confidential = await registerConfidential(demo.at("/register"));
  keep(confidential.client_secret, "a client's secret");

  // Somebody who stays, and whose tool asks.
  const stays = await logIn(open, alice);
  const session = await canAsk(demo, stays.tokens.access_token);
  await whoAmI(stays.tokens);
  const { todos } = (await callTool(demo, stays.tokens.access_token, "create_new_todo", { text: "ask me" })).structuredContent;
  const asked = await asking(demo, stays.tokens.access_token, session, "delete_todo", { id: todos.at(-1).id });
  assert.equal((await asked.reply(asked.question, "accept")).status, 202);
  await asked.reader.read();
  const refreshed = await refresh(open, stays.tokens);
  assert.equal(refreshed.status, 200);
  await whoAmI(refreshed);
  await ask(demo, refreshed.access_token, "tools/list");

  // Somebody with a client that has a secret, and a code that waits to be redeemed.
  const other = await logIn(confidential, bob);
  await whoAmI(other.tokens);
  const again = await refresh(confidential, other.tokens);
  assert.equal(again.status, 200);
  const waiting = await arrive(confidential, bob);
  assert.ok(waiting.code);

  // A grant that is revoked.
  const gone = await logIn(open, bob);
  assert.equal((await post("/revoke", { token: gone.tokens.refresh_token, client_id: open.client_id })).status, 200);
  assert.equal(await isGood(demo, gone.tokens.access_token), false);

  // A code that is used twice, which ends what it gave.
  const replayed = await logIn(open, alice);
  assert.equal((await token(open, replayed.form)).status, 400);

  // A wrong secret, a wrong verifier, tokens that are none.
  const wrong = randomBytes(32).toString("base64url");
  keep(wrong, "a wrong secret");
  assert.equal((await token(confidential, { grant_type: "refresh_token", refresh_token: wrong }, wrong)).status, 401);
  assert.equal((await token(open, { grant_type: "refresh_token", refresh_token: wrong })).status, 400);
  const { code } = await arrive(open, alice);
  const mistaken = { grant_type: "authorization_code", code, code_verifier: verifier(), redirect_uri: REDIRECT_URI };
  assert.equal((await token(open, mistaken)).status, 400);
  assert.equal((await send(demo, wrong, { id: 1, method: "ping" })).status, 401);

  // Logins that fail: PingOne says no, and PingOne says something that cannot be.
  for (const failure of [{ callback_error: "access_denied" }, { id_token_claim: ["nonce", "another"] }]) {
    await demo.force(failure);
    const { code, error } = await arrive(open, alice);
    assert.ok(error && !code, error);
  }
  await demo.heal();

  // Who denies, who never answers, and a callback that nobody asked for.
  const browser = newBrowser();
  const question = await browser.open(demo.at(`/authorize?${authorizationRequest(open.client_id, verifier())}`));
  const denied = await browser.press(question, "deny", {}, REDIRECT_URI);
  assert.equal(denied.url.searchParams.get("error"), "access_denied");
  const unanswered = await newBrowser().open(demo.at(`/authorize?${authorizationRequest(open.client_id, verifier())}`));
  keep(new Map(formWith(unanswered, "approve").inputs).get("handle"), "an approval page's handle");
  const stranger = { code: wrong, state: randomBytes(32).toString("base64url") };
  assert.equal((await fetch(demo.at(`/callback?${new URLSearchParams(stranger)}`))).status, 400);
  keep(stranger.state, "Deputy's state for PingOne");

  // The others are as they were.
  assert.ok(await isGood(demo, refreshed.access_token));
  assert.ok(await isGood(demo, again.access_token));

  // What passed through browsers.
  for (const { visited, given } of browsers) {
    for (const { url, form } of visited) {
      const [here, parameter] = [url.origin === new URL(demo.mcp).origin, (name) => url.searchParams.get(name)];
      if (here && url.pathname === "/callback") {
        if (parameter("code")) keep(parameter("code"), "PingOne's code");
        keep(parameter("state"), "Deputy's state for PingOne");
      }
      if (!here && parameter("nonce")) keep(parameter("nonce"), "Deputy's nonce for PingOne");
      if (!here && url.pathname.endsWith("/authorize")) keep(parameter("state"), "Deputy's state for PingOne");
      if (form?.has("handle")) keep(form.get("handle"), "an approval page's handle");
    }
    for (const value of given) keep(value, "a cookie");
  }
  return { clients: [open.client_id, confidential.client_id] };
}

async function registerConfidential(url) {
  const body = { redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "client_secret_basic" };
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(answer.status, 201);
  return answer.json();
}

/** The bytes of every file below a folder, by its name and by when it was read. */
async function read(folder, when) {
  const files = await filesBelow(folder);
  const contents = await Promise.all(files.map((file) => readFile(file)));
  return new Map(files.map((file, index) => [`${file.slice(folder.length)} ${when}`, contents[index]]));
}

async function filesBelow(folder) {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path];
    }),
  );
  return found.flat();
}

/** Whether `bytes` contain `secret`, or half of it, in any form in which something may have written it. */
function shows(bytes, secret) {
  return forms(secret).some((form) => bytes.includes(form)) || hexOf(secret).some((hex) => lowerCase(bytes).includes(hex));
}

function forms(secret) {
  const found = [Buffer.from(secret), decode(secret)].filter(Boolean).flatMap(parts);
  const written = found.flatMap((part) => [part, ...base64(part), [...part].join(","), [...part].join(", ")]);
  return [...written, encodeURIComponent(secret)];
}

function hexOf(secret) {
  const whole = [Buffer.from(secret), decode(secret)].filter(Boolean);
  return whole.flatMap(parts).map((part) => part.toString("hex"));
}

/** The bytes that a secret stands for, if it stands for some: of a token, those behind its prefix and the name of its grant. */
function decode(secret) {
  const [, token] = secret.match(/^dp[acr]_(.*)$/) ?? [];
  if (token) return Buffer.from(token, "base64url").subarray(-32);
  return /^[\w+/=-]{40,90}$/.test(secret) ? Buffer.from(secret, "base64") : null;
}

/** A text whole, and if it is long its halves: storage may cut it anywhere. */
function parts(bytes) {
  const middle = bytes.length >> 1;
  return bytes.length < 32 ? [bytes] : [bytes.subarray(0, middle), bytes.subarray(middle)];
}

/** What bytes look like inside of something that is base64, at each of its three offsets. */
function base64(bytes) {
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64").replace(/=+$/, "");
    // The first and the last characters depend on the neighbours too.
    const own = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return [own, own.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

const lowered = new WeakMap();
function lowerCase(bytes) {
  if (!lowered.has(bytes)) lowered.set(bytes, Buffer.from(bytes.toString("latin1").toLowerCase(), "latin1"));
  return lowered.get(bytes);
}
