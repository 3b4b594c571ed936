// A proxy between the suite, which sends no token, and Deputy. It works on bytes, so that Deputy gets the white space, the
// repeated headers and the case of header names as the suite sent them.

import { connect, createServer } from "node:net";

/** Listens on a free port and forwards requests to `port`, with `token` if they have no token. */
export async function startProxy(port, token) {
  const server = createServer((client) => forward(client, port, server.address().port, token));
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "localhost", resolve);
  });
  return server;
}

// A connection carries one request, so there is one head to change in each direction.
function forward(client, port, ours, token) {
  const deputy = connect(port, "localhost");
  client.on("error", () => deputy.destroy()).on("close", () => deputy.destroy());
  deputy.on("error", () => client.destroy()).on("close", () => client.end());
  afterHead(client, (lines) => withToken(rewriteAddress(port, ours, lines), token), deputy);
  afterHead(deputy, (lines) => lines, client);
}

/** Pipes `from` to `to`. `change` changes the lines of the head; the body is forwarded as it arrives. */
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

/** Replaces the proxy's address by Deputy's. Other hosts and origins stay as they are: Deputy must judge them. */
function rewriteAddress(port, ours, lines) {
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
