// The stream of events of a tool call that asks the user.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Demo, alice } from "./demo.js";
import { logIn, register } from "./login.js";
import { callAskingTool, callTool, initializeWithElicitation } from "./mcp.js";

describe("stream of a tool call", () => {
  let demo, token, session;
  before(async () => {
    demo = await Demo.start();
    const client = await register(demo.at("/register"));
    token = (await logIn(demo, client, alice)).access_token;
    session = await initializeWithElicitation(demo, token);
  });
  after(() => demo?.stop());

  /** Creates a todo and calls `delete_todo` for it, up to the question. */
  async function startDeletion(signal) {
    const { todos } = (await callTool(demo, token, "create_new_todo", { text: "ask me" })).structuredContent;
    return { ...(await callAskingTool(demo, token, session, "delete_todo", { id: todos.at(-1).id }, signal)), count: todos.length };
  }

  test("sends question at once, and comments while the user thinks", async () => {
    const { reader, message, reply, question, count } = await startDeletion();
    assert.equal(question.method, "elicitation/create");
    // After 5 seconds.
    assert.deepEqual(await reader.read(), { done: false, value: ": keep-alive\n\n" });
    assert.equal((await reply(question, "accept")).status, 202);
    assert.equal(message(await reader.read()).result.structuredContent.todos.length, count - 1);
    assert.equal((await reader.read()).done, true);
  });

  test("ends the tool when the client closes it", async () => {
    const hangUp = new AbortController();
    const { reader, reply, question, count } = await startDeletion(hangUp.signal);
    hangUp.abort();
    await assert.rejects(reader.read(), { name: "AbortError" });
    // Time for the server to notice: on Workers that takes a few attempts to write.
    await new Promise((settle) => setTimeout(settle, 17_000));
    assert.equal((await reply(question, "accept")).status, 202);
    await new Promise((settle) => setTimeout(settle, 3_000));
    const { todos } = (await callTool(demo, token, "get_my_todo_list")).structuredContent;
    assert.equal(todos.length, count, "the tool has ended and deletes nothing");
  });
});
