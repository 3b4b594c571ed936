// Deputy's files and log contain no usable secret.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Browser, formWith } from "./browser.js";
import { alice, bob, Demo } from "./demo.js";
import { authorizationRequest, REDIRECT_URI, register } from "./login.js";
import { callAskingTool, callTool, initializeWithElicitation, isAccepted, request, send } from "./mcp.js";
import { authorize } from "./user.js";

/** Files that must contain secrets. Only the demo has them. */
const EXCEPTIONS = {
  "pingone.json": "the simulated PingOne's own records",
  "workerd.env": "the Worker's secrets, which Cloudflare would store in a deployment",
  "cookie-encryption-key": "the key that the demo generates; an operator sets it in the environment",
};

describe("files and log after every kind of request", { timeout: 240_000 }, () => {
  let demo, clients, files;
  const secrets = new Map();

  before(async () => {
    demo = await Demo.start({ env: { LOG: "trace" } });
    clients = await runEverything(demo, (secret, kind) => secrets.set(secret, kind));
    // Read twice: part of the data is in a journal until the process ends.
    files = await read(demo.folder, "while it ran");
    await demo.end();
    for (const [name, bytes] of await read(demo.folder, "at the end")) files.set(name, bytes);
    // Add the secrets that only PingOne and the demo have.
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

  test("search covers every kind of secret", () => {
    const kinds = new Set(secrets.values());
    for (const kind of KINDS) assert.ok(kinds.has(kind), kind);
    assert.ok([...secrets.keys()].every((secret) => secret.length >= 16), "a short text could be found by chance");
  });

  test("search finds a secret in every encoding", () => {
    const secret = randomBytes(32).toString("base64");
    const inside = [
      secret,
      Buffer.from(secret).toString("hex").toUpperCase(),
      ...["", "x", "xy"].map((before) => Buffer.from(`${before}${secret} and more`).toString("base64")),
      ...["", "x", "xy"].map((before) => Buffer.from(`${before}${secret} and more`).toString("base64url")),
      encodeURIComponent(secret),
      Buffer.from(secret, "base64").toString("hex"),
      JSON.stringify([...Buffer.from(secret)]),
      // SQLite may split a value between pages.
      secret.slice(0, 30),
    ];
    for (const text of inside) assert.ok(contains(Buffer.from(`before ${text} after`), secret), text);
    assert.ok(contains(Buffer.concat([Buffer.from("before"), Buffer.from(secret, "base64")]), secret), "as bytes");
    assert.ok(!contains(Buffer.from(`before ${randomBytes(32).toString("base64")} after`), secret));
  });

  test("data folder contains no secret", () => {
    const read = [...files.values()];
    // The files do contain what is not secret.
    for (const name of clients.map((id) => id.split(".")[0])) {
      assert.ok(read.some((bytes) => bytes.includes(name)), `no file contains the client ${name}`);
    }
    for (const [file, bytes] of files) {
      for (const [secret, kind] of secrets) assert.ok(!contains(bytes, secret), `${file} contains ${kind}`);
    }
  });

  test("log at the trace level contains no secret", () => {
    const log = Buffer.from(demo.output);
    for (const path of ["/callback", "/token", "/mcp"]) assert.ok(log.includes(path), `no ${path} in:\n${log}`);
    for (const [secret, kind] of secrets) assert.ok(!contains(log, secret), `${kind} is in:\n${log}`);
  });

  test("log contains no query of a callback", () => {
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

/** Requests that succeed and requests that fail, of a public and a confidential client. `keep` gets every secret. */
async function runEverything(demo, keep) {
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
  /** Logs a user in, up to the redirect back to the client. */
  const authorizeAs = async (client, user) => {
    const code_verifier = verifier();
    const url = demo.at(`/authorize?${authorizationRequest(client.client_id, code_verifier)}`);
    const { arrival } = await authorize(url, REDIRECT_URI, user, newBrowser());
    const code = arrival.searchParams.get("code");
    if (code) keep(code, "a code");
    return { code, code_verifier, error: arrival.searchParams.get("error") };
  };
  const token = async (client, form, secret = client.client_secret) => {
    const basic = secret && { authorization: `Basic ${btoa(`${client.client_id}:${secret}`)}` };
    const response = await post("/token", { ...form, ...(!secret && { client_id: client.client_id }) }, basic);
    const tokens = await response.json();
    if (tokens.access_token) keep(tokens.access_token, "an access token");
    if (tokens.refresh_token) keep(tokens.refresh_token, "a refresh token");
    return { status: response.status, ...tokens };
  };
  const logIn = async (client, user) => {
    const { code, code_verifier } = await authorizeAs(client, user);
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

  // A login of a public client, with a tool that asks the user.
  const stays = await logIn(open, alice);
  const session = await initializeWithElicitation(demo, stays.tokens.access_token);
  await whoAmI(stays.tokens);
  const { todos } = (await callTool(demo, stays.tokens.access_token, "create_new_todo", { text: "ask me" })).structuredContent;
  const call = await callAskingTool(demo, stays.tokens.access_token, session, "delete_todo", { id: todos.at(-1).id });
  assert.equal((await call.reply(call.question, "accept")).status, 202);
  await call.reader.read();
  const refreshed = await refresh(open, stays.tokens);
  assert.equal(refreshed.status, 200);
  await whoAmI(refreshed);
  await request(demo, refreshed.access_token, "tools/list");

  // A login of a confidential client, and a code that is not redeemed.
  const other = await logIn(confidential, bob);
  await whoAmI(other.tokens);
  const again = await refresh(confidential, other.tokens);
  assert.equal(again.status, 200);
  const waiting = await authorizeAs(confidential, bob);
  assert.ok(waiting.code);

  // A grant that is revoked.
  const gone = await logIn(open, bob);
  assert.equal((await post("/revoke", { token: gone.tokens.refresh_token, client_id: open.client_id })).status, 200);
  assert.equal(await isAccepted(demo, gone.tokens.access_token), false);

  // A code that is used twice, which revokes its tokens.
  const replayed = await logIn(open, alice);
  assert.equal((await token(open, replayed.form)).status, 400);

  // A wrong secret, a wrong verifier, and unknown tokens.
  const wrong = randomBytes(32).toString("base64url");
  keep(wrong, "a wrong secret");
  assert.equal((await token(confidential, { grant_type: "refresh_token", refresh_token: wrong }, wrong)).status, 401);
  assert.equal((await token(open, { grant_type: "refresh_token", refresh_token: wrong })).status, 400);
  const { code } = await authorizeAs(open, alice);
  const mistaken = { grant_type: "authorization_code", code, code_verifier: verifier(), redirect_uri: REDIRECT_URI };
  assert.equal((await token(open, mistaken)).status, 400);
  assert.equal((await send(demo, wrong, { id: 1, method: "ping" })).status, 401);

  // Logins that fail: PingOne returns an error, and PingOne returns a wrong ID token.
  for (const failure of [{ callback_error: "access_denied" }, { id_token_claim: ["nonce", "another"] }]) {
    await demo.force(failure);
    const { code, error } = await authorizeAs(open, alice);
    assert.ok(error && !code, error);
  }
  await demo.heal();

  // A denied approval, an approval page without a decision, and a callback of no login.
  const browser = newBrowser();
  const question = await browser.open(demo.at(`/authorize?${authorizationRequest(open.client_id, verifier())}`));
  const denied = await browser.press(question, "deny", {}, REDIRECT_URI);
  assert.equal(denied.url.searchParams.get("error"), "access_denied");
  const unanswered = await newBrowser().open(demo.at(`/authorize?${authorizationRequest(open.client_id, verifier())}`));
  keep(new Map(formWith(unanswered, "approve").inputs).get("handle"), "an approval page's handle");
  const unknown = { code: wrong, state: randomBytes(32).toString("base64url") };
  assert.equal((await fetch(demo.at(`/callback?${new URLSearchParams(unknown)}`))).status, 400);
  keep(unknown.state, "Deputy's state for PingOne");

  // The other grants are still valid.
  assert.ok(await isAccepted(demo, refreshed.access_token));
  assert.ok(await isAccepted(demo, again.access_token));

  // Collect the secrets that browsers have seen.
  for (const { visited, cookieValues } of browsers) {
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
    for (const value of cookieValues) keep(value, "a cookie");
  }
  return [open.client_id, confidential.client_id];
}

async function registerConfidential(url) {
  const body = { redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "client_secret_basic" };
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  assert.equal(response.status, 201);
  return response.json();
}

/** The bytes of every file below a folder, by its name and the time of reading. */
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

/** Whether `bytes` contain `secret` or half of it, in any encoding. */
function contains(bytes, secret) {
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

/** The bytes that a secret encodes, if it encodes any: of a token of Deputy, the secret part behind its prefix, id and tag. */
function decode(secret) {
  const [, token] = secret.match(/^dp[acr]_(.*)$/) ?? [];
  if (token) return Buffer.from(token, "base64url").subarray(-32);
  return /^[\w+/=-]{40,90}$/.test(secret) ? Buffer.from(secret, "base64") : null;
}

/** The bytes, or their halves if they are long: storage may split a value anywhere. */
function parts(bytes) {
  const middle = bytes.length >> 1;
  return bytes.length < 32 ? [bytes] : [bytes.subarray(0, middle), bytes.subarray(middle)];
}

/** The base64 of `bytes` as a part of a longer text, at each of the three offsets. */
function base64(bytes) {
  return [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64").replace(/=+$/, "");
    // The first and the last characters depend on the neighboring bytes, so they are left out.
    const own = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return [own, own.replaceAll("+", "-").replaceAll("/", "_")];
  });
}

const lowered = new WeakMap();
function lowerCase(bytes) {
  if (!lowered.has(bytes)) lowered.set(bytes, Buffer.from(bytes.toString("latin1").toLowerCase(), "latin1"));
  return lowered.get(bytes);
}
