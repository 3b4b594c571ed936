// The cost of requests on Workers: calls between JavaScript and WebAssembly, and subrequests. docs/deploy.md has the
// counts.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Demo, alice, repository } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";
import { callTool, send } from "../clients/node/mcp.js";

describe("cost of a request", () => {
  let demo, client, tokens;
  before(async () => {
    demo = await Demo.start({ env: { DEPUTY_WORKER_FOLDER: join(repository, "tests/workers/counting") } });
    client = await register(demo.at("/register"));
    tokens = await logIn(demo, client, alice);
    // Starts the API, and fills the isolate's caches.
    await callTool(demo, tokens.access_token, "get_my_todo_list");
    // For a second, `/health` responds with what the store said last.
    await sleep(1_100);
  });
  after(() => demo?.stop());

  const refresh = async () => {
    const form = { grant_type: "refresh_token", client_id: client, refresh_token: tokens.refresh_token };
    const response = await fetch(demo.at("/token"), { method: "POST", body: new URLSearchParams(form) });
    assert.equal(response.status, 200);
    tokens = await response.json();
  };

  const requests = {
    "`GET /health`": () => fetch(demo.at("/health")),
    "`POST /mcp` without a valid token": () => send(demo, "dpa_forged", { id: 1, method: "tools/list" }),
    "`tools/list`": () => send(demo, tokens.access_token, { id: 1, method: "tools/list" }),
    "`tools/call`, no API call": () => callTool(demo, tokens.access_token, "who_am_i"),
    "`tools/call`, one API call": () => callTool(demo, tokens.access_token, "get_my_todo_list"),
    "refresh, first after a login": refresh,
    "refresh, any further one": refresh,
    "`POST /register`": async () => (client = await register(demo.at("/register"))),
    "login, `/authorize` to `/token`": async () => (tokens = await logIn(demo, client, alice)),
  };

  for (const [name, request] of Object.entries(requests)) {
    test(`${name} has the documented cost`, async () => {
      const earlier = await settledCounts();
      const response = await request();
      await response?.arrayBuffer?.();
      const later = await settledCounts();
      const { imports, exports, kv, objects, fetches, limits } = Object.fromEntries(
        Object.keys(later).map((kind) => [kind, later[kind] - earlier[kind]]),
      );
      const row = `| ${[name, imports, exports, kv, objects, fetches, limits].join(" | ")} |`;
      const documentation = await readFile(join(repository, "docs/deploy.md"), "utf8");
      assert.ok(documentation.includes(row), `docs/deploy.md should have the row\n${row}`);
    });
  }

  /** The counts of the Worker, once they no longer change. */
  async function settledCounts() {
    const counts = async () => (await fetch(demo.at("/counts"))).json();
    for (let earlier = await counts(); ; ) {
      await sleep(100);
      const later = await counts();
      if (later.imports === earlier.imports && later.exports === earlier.exports) return later;
      earlier = later;
    }
  }
});
