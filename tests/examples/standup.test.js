// The stand-up tools behind Deputy, called over plain HTTP without an SDK.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Demo, alice, bob } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";

const STATELESS = "2026-07-28";

describe("stand-up tools", () => {
  let demo, client;
  before(async () => {
    demo = await Demo.start();
    client = await register(demo.at("/register"));
  });
  after(() => demo?.stop());

  /** Sends a request of MCP 2026-07-28; returns the HTTP response and its messages. */
  async function send(token, method, params, capabilities = {}) {
    const meta = {
      "io.modelcontextprotocol/protocolVersion": STATELESS,
      "io.modelcontextprotocol/clientCapabilities": capabilities,
      "io.modelcontextprotocol/clientInfo": { name: "standup.test", version: "1" },
    };
    const response = await fetch(demo.mcp, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "mcp-protocol-version": STATELESS,
        "mcp-method": method,
        ...(params.name && { "mcp-name": params.name }),
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: { ...params._meta, ...meta } } }),
    });
    const text = await response.text();
    const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data));
    return { response, messages: events.length > 0 ? events : [JSON.parse(text)] };
  }
  const result = async (...call) => (await send(...call)).messages.at(-1).result;
  const call = (token, name, args = {}, more = {}) =>
    result(token, "tools/call", { name, arguments: args, ...more }, { elicitation: {} });
  const notes = async (token) => (await call(token, "stand_up")).structuredContent;

  test("are listed with their schemas", async () => {
    const { access_token: token } = await logIn(demo, client, alice);
    const { tools } = await result(token, "tools/list", {});
    assert.deepEqual(tools.map(({ name }) => name).sort(), ["jot", "stand_up", "sweep"]);
    assert.deepEqual(tools.find(({ name }) => name === "jot").inputSchema.required, ["text", "done"]);
    assert.deepEqual(tools.find(({ name }) => name === "stand_up").outputSchema.required, ["done", "open"]);
  });

  test("call the API with the token of their own user", async () => {
    const [{ access_token: ofAlice }, { access_token: ofBob }] = [await logIn(demo, client, alice), await logIn(demo, client, bob)];
    await call(ofAlice, "jot", { text: "Wrote the report", done: true });
    await call(ofAlice, "jot", { text: "Send it", done: false });
    assert.deepEqual(await notes(ofAlice), { done: ["Wrote the report"], open: ["Send it"] });
    assert.deepEqual(await notes(ofBob), { done: [], open: [] });
  });

  test("report their progress before their result", async () => {
    const { access_token: token } = await logIn(demo, client, bob);
    const { messages } = await send(token, "tools/call", { name: "stand_up", arguments: {}, _meta: { progressToken: "p" } });
    assert.deepEqual(messages[0].params, { progressToken: "p", progress: 0.5, message: "Reading the list" });
    assert.deepEqual(messages[1].result.structuredContent, { done: [], open: [] });
  });

  test("ask the user before they sweep", async () => {
    const { access_token: token } = await logIn(demo, client, bob);
    await call(token, "jot", { text: "Old", done: true });
    const question = await call(token, "sweep");
    assert.equal(question.resultType, "input_required");
    const { params } = question.inputRequests.sweep;
    assert.equal(params.message, "Delete 1 todos that are done? This cannot be undone.");
    const reply = (action) => ({ requestState: question.requestState, inputResponses: { sweep: { action } } });
    assert.equal((await call(token, "sweep", {}, reply("decline"))).isError, true);
    assert.deepEqual((await notes(token)).done, ["Old"]);
    const swept = await call(token, "sweep", {}, reply("accept"));
    assert.equal(swept.content[0].text, "Swept 1 of them.");
    assert.deepEqual((await notes(token)).done, []);
  });

  test("require the scopes that were declared", async () => {
    const { access_token: token } = await logIn(demo, client, alice, "todo:read");
    assert.deepEqual((await notes(token)).open, ["Send it"]);
    const { response } = await send(token, "tools/call", { name: "sweep", arguments: {} });
    assert.equal(response.status, 403);
    assert.match(response.headers.get("www-authenticate"), /error="insufficient_scope".*scope="todo:read todo:write"/);
  });
});
