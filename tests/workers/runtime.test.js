// What the Workers host does by itself: its store, its outgoing requests, panics.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";

const worker = process.env.DEPUTY_WORKER;

test("the store of KV and Durable Objects behaves as every store", async () => {
  const outcome = await (await fetch(`${worker}/test/store`)).json();
  assert.deepEqual(outcome.failures, []);
  assert.ok(outcome.behaviours >= 20);
});

test("a panic is a 500 that names its entry in the log, and the next request is served", async () => {
  const panicked = await fetch(`${worker}/test/panic`);
  assert.equal(panicked.status, 500);
  assert.match(await panicked.text(), /^the server failed; its log has more under [0-9a-f]{16}$/);
  const next = await (await fetch(`${worker}/test/store`)).json();
  assert.deepEqual(next.failures, []);
});

describe("outgoing requests", () => {
  let server, seen;
  before(async () => {
    server = createServer((request, response) => {
      seen.push(request);
      if (request.url === "/redirect") response.writeHead(302, { location: "/elsewhere" }).end();
      else if (request.url === "/bytes") response.end(Buffer.alloc(1000));
      else if (request.url === "/drip") response.write("a first byte");
      else if (request.url === "/reset") request.socket.destroy();
      // And every other is never answered.
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  /** What a fetch with a deadline of 500 ms and at most `max` bytes comes to. */
  async function outcome(path, max = 1000) {
    seen = [];
    const url = `http://127.0.0.1:${server.address().port}${path}`;
    return (await fetch(`${worker}/test/fetch?${new URLSearchParams({ url, max })}`)).text();
  }

  test("no redirect is followed", async () => {
    assert.equal(await outcome("/redirect"), "302, 0 bytes");
    assert.deepEqual(seen.map(({ url }) => url), ["/redirect"]);
  });

  test("an answer may be as large as allowed, and not a byte larger", async () => {
    assert.equal(await outcome("/bytes", 1000), "200, 1000 bytes");
    assert.equal(await outcome("/bytes", 999), "the answer is larger than allowed");
  });

  test("who does not answer whole in time has not answered, and is hung up on", async () => {
    for (const path of ["/never", "/drip"]) {
      assert.equal(await outcome(path), "no whole answer before the deadline", path);
      if (!seen[0].socket.destroyed) await once(seen[0].socket, "close");
    }
  });

  test("a connection that breaks is an error that names no address", async () => {
    const text = await outcome("/reset");
    assert.match(text, /^connection failed: /);
    assert.doesNotMatch(text, /127\.0\.0\.1/);
  });
});
