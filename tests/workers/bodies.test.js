// What a Worker does with bodies that nobody sends to their end: the runtime waits for as long as they like.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { text } from "node:stream/consumers";

import { Demo } from "../clients/node/demo.js";

describe("bodies", () => {
  let demo;
  before(async () => {
    demo = await Demo.start();
  });
  after(() => demo?.stop());

  test("a body that does not arrive is not waited for", async () => {
    const { hostname, port, host } = new URL(demo.at("/"));
    const socket = connect(Number(port), hostname === "localhost" ? "127.0.0.1" : hostname);
    await once(socket, "connect");
    const head = ["POST /approve HTTP/1.1", `Host: ${host}`, "Content-Type: application/x-www-form-urlencoded"];
    socket.write([...head, "Connection: close", "Content-Length: 1000", "", "handle=x"].join("\r\n"));
    const answer = await text(socket);
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.equal((await fetch(demo.at("/health"))).status, 200);
  });
});
