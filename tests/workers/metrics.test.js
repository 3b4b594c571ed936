// Metrics as data points of Analytics Engine.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { callTool, send } from "../clients/node/mcp.js";
import { startObserved } from "./observed/demo.js";

let demo, token;
before(async () => ({ demo, token } = await startObserved()));
after(() => demo?.stop());

const points = async () => (await fetch(demo.at("/points"))).json();

/** The blobs of the data points after the first `count`. */
const blobsAfter = async (count) => (await points()).slice(count).map(({ blobs }) => blobs.join(" "));

test("login writes a data point for each step and request", async () => {
  const blobs = await blobsAfter(0);
  const steps = blobs.filter((text) => text.startsWith("login_step "));
  const done = ["approval ok", "pingone ok", "callback ok", "redemption ok"];
  assert.deepEqual(steps, ["authorize asked", ...done].map((step) => `login_step ${step}`));
  for (const text of ["request register ok", "request token ok", "pingone_request code 2xx"]) assert.ok(blobs.includes(text), text);
});

test("tool call writes its data points with their durations", async () => {
  const { length } = await points();
  await callTool(demo, token, "get_my_todo_list");
  const written = (await points()).slice(length);
  assert.deepEqual(written.map(({ blobs }) => blobs).sort(), [
    ["api_request", "", "2xx"],
    ["request", "mcp", "ok"],
    ["tool_call", "get_my_todo_list", "ok"],
  ]);
  for (const { indexes, blobs, doubles } of written) {
    assert.deepEqual(indexes, [blobs[0]]);
    assert.ok(doubles.length === 1 && doubles[0] >= 0 && doubles[0] < 30, String(doubles));
  }
});

test("client puts no text of its own into a data point", async () => {
  const { length } = await points();
  await send(demo, token, { id: 1, method: "tools/call", params: { name: "a-private-name" } });
  await send(demo, "a-private-token", { id: 1, method: "tools/list" });
  const blobs = await blobsAfter(length);
  assert.ok(blobs.includes("request mcp invalid_token"), blobs.join());
  assert.doesNotMatch(blobs.join(), /private/);
});
