// The cost of the runtime without Deputy: each path reads a JSON-RPC request and has the same result of `tools/list`. A tool call
// sends one request to the API, as Deputy's does.

import { DurableObject } from "cloudflare:workers";

let result;

async function respond(request, env) {
  result ??= JSON.parse(env.TOOLS);
  const { id, method } = await request.json();
  return Response.json({ jsonrpc: "2.0", id, result: method === "tools/call" ? await call(env) : result });
}

async function call({ API, TOKEN }) {
  const response = await fetch(API, { headers: { authorization: `Bearer ${TOKEN}` } });
  const todos = await response.json();
  return { content: [{ type: "text", text: JSON.stringify(todos) }], structuredContent: todos, isError: false };
}

export class Floor extends DurableObject {
  fetch(request) {
    return respond(request, this.env);
  }
}

export default {
  async fetch(request, env) {
    switch (new URL(request.url).pathname) {
      case "/health":
        return new Response("ok");
      case "/object":
        // One for each client, as Deputy has one for each grant.
        return env.FLOORS.get(env.FLOORS.idFromName(request.headers.get("mcp-session-id"))).fetch(request);
      case "/kv":
        if (!(await env.KV.get("record"))) await env.KV.put("record", "x".repeat(1024));
        return respond(request, env);
      default:
        return respond(request, env);
    }
  },
};
