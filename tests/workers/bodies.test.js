// Incomplete request bodies. The runtime itself waits for them without a limit.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { text } from "node:stream/consumers";

import { Demo } from "../clients/node/demo.js";

describe("request bodies", () => {
  let demo;
  before(async () => {
    demo = await Demo.start();
  });
  after(() => demo?.stop());

  test("incomplete body gets 408", async () => {
    const { hostname, port, host } = new URL(demo.at("/"));
    const socket = connect(Number(port), hostname === "localhost" ? "127.0.0.1" : hostname);
    await once(socket, "connect");
    const head = ["POST /approve HTTP/1.1", `Host: ${host}`, "Content-Type: application/x-www-form-urlencoded"];
    socket.write([...head, "Connection: close", "Content-Length: 1000", "", "handle=x"].join("\r\n"));
    const response = await text(socket);
    assert.match(response, /^HTTP\/1\.1 408 /);
    assert.equal((await fetch(demo.at("/health"))).status, 200);
  });
});
