// What a stream does while a tool works, seen without an SDK.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Demo, alice } from "./demo.js";
import { logIn, register } from "./login.js";

describe("a stream", () => {
  let demo, token;
  before(async () => {
    demo = await Demo.start();
    const client = await register(demo.at("/register"));
    token = (await logIn(demo, client, alice)).access_token;
    await answer("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: { elicitation: {} },
      clientInfo: { name: "streams", version: "1" },
    });
  });
  after(() => demo?.stop());

  const post = (message, signal) =>
    fetch(demo.mcp, {
      method: "POST",
      headers: {
        accept: "application/json, text/event-stream",
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "mcp-protocol-version": "2025-11-25",
      },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
      signal,
    });
  const answer = async (method, params) => (await (await post({ id: 1, method, params })).json()).result;
  const call = async (name, args) => (await answer("tools/call", { name, arguments: args })).structuredContent;

  /** A call that asks the person, up to its question. */
  async function asking(signal) {
    const { todos } = await call("create_new_todo", { text: "ask me" });
    const params = { name: "delete_todo", arguments: { id: todos.at(-1).id } };
    const response = await post({ id: 2, method: "tools/call", params }, signal);
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    return { reader, question: message(await reader.read()), count: todos.length };
  }
  const message = ({ value }) => JSON.parse(value.match(/^data: (.*)$/m)[1]);
  const reply = (question, action) => post({ id: question.id, result: { action } });

  test("brings its first event before the tool ends, and stays alive while a person thinks", async () => {
    const { reader, question, count } = await asking();
    assert.equal(question.method, "elicitation/create");
    // 5 seconds later.
    assert.deepEqual(await reader.read(), { done: false, value: ": keep-alive\n\n" });
    assert.equal((await reply(question, "accept")).status, 202);
    assert.equal(message(await reader.read()).result.structuredContent.todos.length, count - 1);
    assert.equal((await reader.read()).done, true);
  });

  test("that the client closes ends the tool", async () => {
    const hangUp = new AbortController();
    const { reader, question, count } = await asking(hangUp.signal);
    hangUp.abort();
    await assert.rejects(reader.read(), { name: "AbortError" });
    // Time for the server to see it, which nothing tells us of: on Workers it takes a few attempts to write.
    await new Promise((settle) => setTimeout(settle, 17_000));
    assert.equal((await reply(question, "accept")).status, 202);
    await new Promise((settle) => setTimeout(settle, 3_000));
    assert.equal((await call("get_my_todo_list", {})).todos.length, count, "nobody is there to delete it");
  });
});
