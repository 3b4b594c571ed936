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

/** The trace of the one request that the API received. Its span is none of the client's, and it is not sampled. */
function traceOf([traceparent, ...more]) {
  assert.deepEqual(more, []);
  assert.match(traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.notEqual(traceparent.slice(36, 52), PARENT.slice(36, 52));
  return traceparent.slice(3, 35);
}

test("request to the API continues the trace of the request", async () => {
  const other = OTHER.slice(3, 35);
  assert.equal(traceOf(await traceparentOfCall({ traceparent: PARENT })), TRACE);
  assert.equal(traceOf(await traceparentOfCall({}, { traceparent: OTHER })), other);
  const both = await traceparentOfCall({ traceparent: PARENT }, { traceparent: OTHER });
  assert.equal(traceOf(both), other, "the message wins");
});

test("sampled flag of a client does not reach the API", async () => {
  for (const flags of ["00", "01", "ff"]) {
    traceOf(await traceparentOfCall({ traceparent: PARENT.replace(/01$/, flags) }));
  }
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
