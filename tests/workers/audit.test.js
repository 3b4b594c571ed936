// Audit events as messages of a queue.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { callAskingTool, callTool, initializeWithElicitation } from "../clients/node/mcp.js";
import { startObserved } from "./observed/demo.js";

describe("Worker with a queue for audit events", { timeout: 120_000 }, () => {
  let demo, token;
  before(async () => ({ demo, token } = await startObserved()));
  after(() => demo?.stop());

  const audited = async () => (await fetch(demo.at("/audited"))).json();

  /** The events after the first `count`, once there are any and no more come. */
  async function eventsAfter(count) {
    for (let earlier = await audited(); ; ) {
      await sleep(500);
      const later = await audited();
      if (later.length > count && later.length === earlier.length) return later.slice(count);
      earlier = later;
    }
  }

  test("login and a call send one message each", async () => {
    const { content } = await callTool(demo, token, "create_new_todo", { text: "a private text" });
    assert.ok(content);
    const events = await eventsAfter(6);
    assert.deepEqual(
      (await audited()).map(({ event }) => event).sort(),
      ["code_redeemed", "grant_issued", "login_approved", "login_begun", "login_returned", "login_sent", "tool_called"],
    );
    const [called] = events.filter(({ event }) => event === "tool_called");
    assert.equal(called.tool, "create_new_todo");
    assert.equal(called.outcome, "ok");
    assert.match(called.grant, /^[0-9a-f]{32}$/);
    assert.doesNotMatch(JSON.stringify(await audited()), /a private text/);
    assert.ok(!demo.output.includes('"audit":'), "an event that was sent is no line of the log");
  });

  test("call whose client disconnects sends its message", async () => {
    const { structuredContent } = await callTool(demo, token, "get_my_todo_list");
    const before = (await eventsAfter(0)).length;
    const session = await initializeWithElicitation(demo, token);
    const abort = new AbortController();
    const { id } = structuredContent.todos[0];
    await callAskingTool(demo, token, session, "delete_todo", { id }, abort.signal);
    abort.abort();
    const events = await eventsAfter(before);
    assert.deepEqual(events.map(({ tool, outcome }) => [tool, outcome]), [["delete_todo", "canceled"]]);
  });

  test("event that cannot be sent is logged", async () => {
    const before = (await eventsAfter(0)).length;
    await fetch(demo.at("/queue-fails"), { method: "POST" });
    assert.ok((await callTool(demo, token, "get_my_todo_list")).structuredContent);
    while (!demo.output.includes("an audit event could not be sent to the queue")) await sleep(50);
    const line = demo.output.split("\n").find((line) => line.includes("an audit event could not be sent"));
    const { level, error, audit } = JSON.parse(line.slice(line.indexOf("{"), line.lastIndexOf("}") + 1));
    assert.deepEqual([level, error, audit.event, audit.tool], ["error", "the queue is gone", "tool_called", "get_my_todo_list"]);
    assert.equal((await audited()).length, before);
  });
});
