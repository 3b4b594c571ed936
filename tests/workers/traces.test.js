// `traceparent` on Workers: at the API, and in the log.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Demo, alice } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT = `00-${TRACE}-00f067aa0ba902b7-01`;
const OTHER = PARENT.replace("4bf9", "5bf9");

let api, demo, token;
let received = [];
let status = 200;
before(async () => {
  api = createServer(({ headers }, response) => {
    received.push(headers.traceparent);
    response.writeHead(status, { "content-type": "application/json" }).end('{"todos":[]}');
  }).listen(0, "127.0.0.1");
  await once(api, "listening");
  demo = await Demo.start({ apiUrl: `http://127.0.0.1:${api.address().port}`, env: { LOG: "info" } });
  const client = await register(demo.at("/register"));
  token = (await logIn(demo, client, alice)).access_token;
});
after(async () => {
  await demo?.stop();
  api.closeAllConnections();
  api.close();
});

/** Calls a tool, with these headers and this `_meta`. Returns what the API received as `traceparent`. */
async function traceparentOfCall(headers, _meta) {
  received = [];
  const response = await fetch(demo.mcp, {
    method: "POST",
    headers: {
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "mcp-protocol-version": "2025-11-25",
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "get_my_todo_list", arguments: {}, _meta } }),
  });
  assert.equal(response.status, 200, await response.text());
  return received;
}

test("request to the API continues the trace of the request", async () => {
  assert.deepEqual(await traceparentOfCall({ traceparent: PARENT }), [PARENT]);
  assert.deepEqual(await traceparentOfCall({}, { traceparent: OTHER }), [OTHER]);
  assert.deepEqual(await traceparentOfCall({ traceparent: PARENT }, { traceparent: OTHER }), [OTHER], "the message wins");
});

test("request without a valid trace continues none", async () => {
  assert.deepEqual(await traceparentOfCall({}), [undefined]);
  assert.deepEqual(await traceparentOfCall({ traceparent: `${PARENT}-more` }), [undefined]);
  assert.deepEqual(await traceparentOfCall({}, { traceparent: "x".repeat(100) }), [undefined]);
});

test("lines of the log have the trace of their request only", async () => {
  status = 500;
  await traceparentOfCall({ traceparent: PARENT });
  await traceparentOfCall({});
  const lines = () => demo.output.split("\n").filter((line) => line.includes("the API responded with an error"));
  while (lines().length < 2) await sleep(50);
  const [traced, other] = lines();
  assert.ok(traced.includes(`"trace_id":"${TRACE}"`), traced);
  assert.ok(!other.includes("trace_id"), other);
});
