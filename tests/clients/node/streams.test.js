// What a stream does while a tool works, seen without an SDK.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Demo, alice } from "./demo.js";
import { logIn, register } from "./login.js";
import { asking, callTool, canAsk } from "./mcp.js";

describe("a stream", () => {
  let demo, token, session;
  before(async () => {
    demo = await Demo.start();
    const client = await register(demo.at("/register"));
    token = (await logIn(demo, client, alice)).access_token;
    session = await canAsk(demo, token);
  });
  after(() => demo?.stop());

  /** A call that asks the person, up to its question. */
  async function deleting(signal) {
    const { todos } = (await callTool(demo, token, "create_new_todo", { text: "ask me" })).structuredContent;
    return { ...(await asking(demo, token, session, "delete_todo", { id: todos.at(-1).id }, signal)), count: todos.length };
  }

  test("brings its first event before the tool ends, and stays alive while a person thinks", async () => {
    const { reader, message, reply, question, count } = await deleting();
    assert.equal(question.method, "elicitation/create");
    // 5 seconds later.
    assert.deepEqual(await reader.read(), { done: false, value: ": keep-alive\n\n" });
    assert.equal((await reply(question, "accept")).status, 202);
    assert.equal(message(await reader.read()).result.structuredContent.todos.length, count - 1);
    assert.equal((await reader.read()).done, true);
  });

  test("that the client closes ends the tool", async () => {
    const hangUp = new AbortController();
    const { reader, reply, question, count } = await deleting(hangUp.signal);
    hangUp.abort();
    await assert.rejects(reader.read(), { name: "AbortError" });
    // Time for the server to see it, which nothing tells us of: on Workers it takes a few attempts to write.
    await new Promise((settle) => setTimeout(settle, 17_000));
    assert.equal((await reply(question, "accept")).status, 202);
    await new Promise((settle) => setTimeout(settle, 3_000));
    const { todos } = (await callTool(demo, token, "get_my_todo_list")).structuredContent;
    assert.equal(todos.length, count, "nobody is there to delete it");
  });
});
