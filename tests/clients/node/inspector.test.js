// MCP Inspector's command line, with an access token that another client obtained.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { auth } from "@modelcontextprotocol/client";

import { TOOLS } from "./behaviors.js";
import { Demo, alice } from "./demo.js";
import { authorize } from "./user.js";
import { Wallet } from "./wallet.js";

const resolve = createRequire(import.meta.url).resolve;
const INSPECTOR = fileURLToPath(
  new URL("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js", import.meta.url),
);

describe("MCP Inspector", () => {
  let demo;
  let token;

  before(async () => {
    demo = await Demo.start();
    const wallet = new Wallet("MCP Inspector");
    await auth(wallet, { serverUrl: demo.mcp });
    const { arrival } = await authorize(wallet.opened[0], wallet.redirectUrl, alice);
    const parameters = wallet.received(arrival);
    await auth(wallet, { serverUrl: demo.mcp, authorizationCode: parameters.get("code"), iss: parameters.get("iss") });
    token = wallet.tokens().access_token;
  });
  after(() => demo?.stop());

  /** Runs the Inspector and returns its output. Its own files are in the demo's folder. */
  async function run(...flags) {
    const target = [INSPECTOR, "--cli", demo.mcp, "--transport", "http"];
    const options = { env: { ...process.env, HOME: demo.folder }, timeout: 60_000 };
    return promisify(execFile)(node(), [...target, ...flags], options);
  }

  async function inspect(...flags) {
    const { stdout } = await run(...flags, "--header", `Authorization: Bearer ${token}`);
    return JSON.parse(stdout);
  }

  const call = (tool, ...pairs) => {
    const flags = pairs.flatMap((pair) => ["--tool-arg", pair]);
    return inspect("--method", "tools/call", "--tool-name", tool, ...flags);
  };

  test("lists every tool", async () => {
    const { tools } = await inspect("--method", "tools/list");
    assert.deepEqual(tools.map(({ name }) => name).sort(), TOOLS);
  });

  test("finds no unportable schema in strict mode", async () => {
    const { tools } = await inspect("--method", "tools/list", "--strict");
    assert.equal(tools.length, TOOLS.length);
  });

  test("calls tools", async () => {
    const made = await call("create_new_todo", "text=look closely");
    const [{ id, text, completed }] = made.structuredContent.todos;
    assert.deepEqual({ text, completed }, { text: "look closely", completed: false });
    assert.deepEqual((await call("get_my_todo_list")).structuredContent, made.structuredContent);
    const toggled = await call("toggle_todo_status", `id=${id}`, "completed=true");
    assert.deepEqual(toggled.structuredContent, { todos: [{ id, text, completed: true }] });
    // The command line cannot ask the user.
    const refusal = "Nothing was deleted: the user has to confirm";
    await assert.rejects(call("delete_todo", `id=${id}`), ({ stdout }) => stdout.includes(refusal));
    const who = await call("who_am_i");
    assert.equal(who.structuredContent.user.username, "alice");
  });

  test("asks for a login when it has no token", async () => {
    const refused = run("--method", "tools/list", "--stored-auth-only");
    await assert.rejects(refused, ({ code, stderr }) => code === 3 && stderr.includes("auth_required"));
  });
});

/** A Node.js that is new enough for the Inspector: this one, or the one that the packages pin. */
function node() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 19)) return process.execPath;
  const machine = `${process.platform}-${process.arch}`;
  return resolve(machine === "darwin-arm64" ? `node-bin-${machine}/bin/node` : `node-${machine}/bin/node`);
}
