// MCP Inspector's command line, with a token that another client got.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { auth } from "@modelcontextprotocol/client";

import { TOOLS } from "./behaviours.js";
import { Demo, alice } from "./demo.js";
import { authorize } from "./person.js";
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
    const { arrival } = await authorize(wallet.asked[0], wallet.redirectUrl, alice);
    const parameters = wallet.received(arrival);
    await auth(wallet, { serverUrl: demo.mcp, authorizationCode: parameters.get("code"), iss: parameters.get("iss") });
    token = wallet.tokens().access_token;
  });
  after(() => demo?.stop());

  /** Runs the Inspector and returns what it printed. It keeps its own files in the demo's folder. */
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

  test("it lists every tool", async () => {
    const { tools } = await inspect("--method", "tools/list");
    assert.deepEqual(tools.map(({ name }) => name).sort(), TOOLS);
  });

  test("it finds nothing in the schemas that other clients would stumble over", async () => {
    const { tools } = await inspect("--method", "tools/list", "--strict");
    assert.equal(tools.length, TOOLS.length);
  });

  test("it calls tools", async () => {
    const made = await call("create_new_todo", "text=look closely");
    const [{ id, text, completed }] = made.structuredContent.todos;
    assert.deepEqual({ text, completed }, { text: "look closely", completed: false });
    assert.deepEqual((await call("get_my_todo_list")).structuredContent, made.structuredContent);
    const toggled = await call("toggle_todo_status", `id=${id}`, "completed=true");
    assert.deepEqual(toggled.structuredContent, { todos: [{ id, text, completed: true }] });
    // It cannot ask the person from a command line.
    const said = "Nothing was deleted: the person has to confirm";
    await assert.rejects(call("delete_todo", `id=${id}`), ({ stdout }) => stdout.includes(said));
    const who = await call("who_am_i");
    assert.equal(who.structuredContent.user.username, "alice");
  });

  test("without a token it is asked to log in", async () => {
    const refused = run("--method", "tools/list", "--stored-auth-only");
    await assert.rejects(refused, ({ code, stderr }) => code === 3 && stderr.includes("auth_required"));
  });
});

/** A Node.js that is new enough for the Inspector: this one, or the pinned one of the packages. */
function node() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 19)) return process.execPath;
  const machine = `${process.platform}-${process.arch}`;
  return resolve(machine === "darwin-arm64" ? `node-bin-${machine}/bin/node` : `node-${machine}/bin/node`);
}
