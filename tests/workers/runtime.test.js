// The Workers host without Deputy: store, outgoing requests, panics.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const worker = process.env.DEPUTY_WORKER;

test("KV and Durable Objects pass the store suite", async () => {
  const outcome = await (await fetch(`${worker}/test/store`)).json();
  assert.deepEqual(outcome.failures, []);
  assert.ok(outcome.behaviors >= 20);
});

test("panic gets 500 with its log id, next request succeeds", async () => {
  const { status, id } = await panicked("é");
  assert.equal(status, 500);
  assert.match(id, /^[0-9a-f]{16}$/);
  const next = await (await fetch(`${worker}/test/store`)).json();
  assert.deepEqual(next.failures, []);
});

test("panic before any wait gets 500, next request succeeds", async () => {
  const response = await fetch(`${worker}/test/panic`);
  assert.equal(response.status, 500);
  assert.match(await response.text(), /^the server failed; its log has more under [0-9a-f]{16}$/);
  assert.equal(await (await fetch(`${worker}/test/constant`)).text(), "constant");
});

test("panic is logged with its place, without its message", { timeout: 60_000 }, async () => {
  const secret = "hunter2-in-a-text";
  const { id } = await panicked(`é${secret}`);
  const file = join(process.env.DEPUTY_WORKER_DATA, "log");
  let log;
  do {
    await sleep(50);
    log = await readFile(file, "utf8");
  } while (!log.includes(id));
  const entry = log.split("\n").find((line) => line.includes(id));
  assert.match(entry, /testing\/src\/lib\.rs:\d+/);
  // The runtime may log the panic too, before the next response.
  await (await fetch(`${worker}/test/constant`)).text();
  assert.ok(!(await readFile(file, "utf8")).includes(secret));
});

/** The response to a request that panics with a message that quotes `text`. */
async function panicked(text) {
  // In the body, because the local runtime logs the URL of a failed request.
  const response = await fetch(`${worker}/test/panic`, { method: "POST", body: text });
  const [, id] = (await response.text()).match(/^the server failed; its log has more under (.*)$/) ?? [];
  return { status: response.status, id };
}

describe("outgoing requests", () => {
  let server, seen;
  before(async () => {
    server = createServer((request, response) => {
      seen.push(request);
      if (request.url === "/redirect") response.writeHead(302, { location: "/elsewhere" }).end();
      else if (request.url === "/bytes") response.end(Buffer.alloc(1000));
      else if (request.url === "/drip") response.write("a first byte");
      else if (request.url === "/reset") request.socket.destroy();
      // Other requests get no response.
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  /** The outcome of a fetch with a deadline of 500 ms and at most `max` bytes. */
  async function outcome(path, max = 1000, { host = "127.0.0.1", ...params } = {}) {
    seen = [];
    const url = `http://${host}:${server.address().port}${path}`;
    return (await fetch(`${worker}/test/fetch?${new URLSearchParams({ url, max, ...params })}`)).text();
  }

  test("redirect is not followed", async () => {
    assert.equal(await outcome("/redirect"), "302, 0 bytes");
    assert.deepEqual(seen.map(({ url }) => url), ["/redirect"]);
  });

  test("response above the size limit is rejected", async () => {
    assert.equal(await outcome("/bytes", 1000), "200, 1000 bytes");
    assert.equal(await outcome("/bytes", 999), "the answer is larger than allowed");
  });

  test("incomplete response times out, connection is closed", async () => {
    for (const path of ["/never", "/drip"]) {
      assert.equal(await outcome(path), "no whole answer before the deadline", path);
      if (!seen[0].socket.destroyed) await once(seen[0].socket, "close");
    }
  });

  test("non-public address is not contacted in any spelling", async () => {
    assert.equal(await outcome("/bytes"), "200, 1000 bytes");
    const notPublic = await outcome("/bytes", 1000, { public: true });
    assert.match(notPublic, /public/);
    const addresses = ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "0.0.0.0", "8.8.8.8"];
    const spellings = ["2130706433", "017700000001", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1.", "0x7F.1"];
    for (const host of [...addresses, ...spellings]) {
      assert.equal(await outcome("/bytes", 1000, { host, public: true }), notPublic, host);
      assert.deepEqual(seen, [], host);
    }
  });

  test("connection error contains no address", async () => {
    const text = await outcome("/reset");
    assert.match(text, /^connection broke: /);
    assert.doesNotMatch(text, /127\.0\.0\.1/);
  });
});
