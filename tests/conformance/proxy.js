// What stands between the suite, which brings no token, and Deputy. It works on bytes: what the suite says about white
// space, repetition and the case of header names reaches Deputy as it was said.

import { connect, createServer } from "node:net";

/** Listens at a port of its own, for requests to `port` that go on with `token` if they have none. */
export async function startProxy(port, token) {
  const server = createServer((client) => forward(client, port, server.address().port, token));
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "localhost", resolve);
  });
  return server;
}

// One request for each connection, so that there is one head to look for in each direction.
function forward(client, port, ours, token) {
  const deputy = connect(port, "localhost");
  client.on("error", () => deputy.destroy()).on("close", () => deputy.destroy());
  deputy.on("error", () => client.destroy()).on("close", () => client.end());
  afterHead(client, (lines) => withToken(towards(port, ours, lines), token), deputy);
  afterHead(deputy, (lines) => lines, client);
}

/** Pipes `from` to `to`, with the head's lines changed by `change` and nothing kept back. */
function afterHead(from, change, to) {
  let head = Buffer.alloc(0);
  from.on("data", function collect(chunk) {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    from.off("data", collect);
    const [first, ...lines] = head.toString("latin1", 0, end).split("\r\n");
    const kept = change(lines.filter((line) => !named(line, "connection") && !named(line, "keep-alive")));
    to.write([first, ...kept, "Connection: close", "", ""].join("\r\n"), "latin1");
    to.write(head.subarray(end + 4));
    from.pipe(to);
  });
}

/** Our own address becomes Deputy's; anything else is the suite's to say, and Deputy's to judge. */
function towards(port, ours, lines) {
  return lines.map((line) => {
    const ownAddress = named(line, "host") || named(line, "origin");
    return ownAddress ? line.replace(new RegExp(`(localhost):${ours}(?=\\s*$)`), `$1:${port}`) : line;
  });
}

function withToken(lines, token) {
  const has = lines.some((line) => named(line, "authorization"));
  return has ? lines : [...lines, `Authorization: Bearer ${token}`];
}

function named(line, name) {
  return line.toLowerCase().startsWith(`${name}:`);
}
