// MCP requests without an SDK.

/** Sends one message with an access token, and with a session id if given. Returns the HTTP response. */
export function send({ mcp }, token, message, { session, signal } = {}) {
  return fetch(mcp, {
    method: "POST",
    headers: {
      accept: "application/json, text/event-stream",
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "mcp-protocol-version": "2025-11-25",
      ...(session && { "mcp-session-id": session }),
    },
    body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    signal,
  });
}

/** Whether Deputy accepts an access token. */
export async function isAccepted(demo, token) {
  return (await send(demo, token, { id: 1, method: "ping" })).status === 200;
}

/** Sends a request and returns its result. */
export async function request(demo, token, method, params = {}) {
  const response = await send(demo, token, { id: 1, method, params });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${method}: ${response.status} ${text}`);
  return JSON.parse(text).result;
}

/** Calls a tool and returns its result. */
export function callTool(demo, token, name, args = {}) {
  return request(demo, token, "tools/call", { name, arguments: args });
}

/** Initializes as a client that can ask its user, and returns the session id. */
export async function initializeWithElicitation(demo, token) {
  const clientInfo = { name: "without an SDK", version: "1" };
  const params = { protocolVersion: "2025-11-25", capabilities: { elicitation: {} }, clientInfo };
  const response = await send(demo, token, { id: 1, method: "initialize", params });
  const session = response.headers.get("mcp-session-id");
  if (!session) throw new Error(`initialize: ${response.status} ${await response.text()}`);
  return session;
}

/** Calls a tool that asks the user. Returns the question, the reader of the stream, and a function that sends the reply. */
export async function callAskingTool(demo, token, session, name, args, signal) {
  const call = { id: 2, method: "tools/call", params: { name, arguments: args } };
  const response = await send(demo, token, call, { session, signal });
  const type = response.headers.get("content-type");
  if (type !== "text/event-stream") throw new Error(`${name}: ${response.status} ${type} ${await response.text()}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const message = ({ value }) => JSON.parse(value.match(/^data: (.*)$/m)[1]);
  const reply = (question, action) => send(demo, token, { id: question.id, result: { action } });
  return { reader, message, reply, question: message(await reader.read()) };
}
