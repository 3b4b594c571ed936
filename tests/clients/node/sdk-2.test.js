// The official TypeScript SDK 2.x, with MCP 2026-07-28.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

import { behaviors } from "./behaviors.js";

const REVISION = "2026-07-28";

const transport = (url, wallet) => new StreamableHTTPClientTransport(new URL(url), { authProvider: wallet });

behaviors("TypeScript SDK 2.x", {
  UnauthorizedError,
  expectedRevision: REVISION,
  async connect(url, wallet, decide) {
    const capabilities = decide ? { elicitation: {} } : {};
    const versionNegotiation = { mode: { pin: REVISION } };
    const client = new Client({ name: "sdk-2", version: "1.0.0" }, { capabilities, versionNegotiation });
    if (decide) {
      client.setRequestHandler("elicitation/create", ({ params }) => ({ action: decide(params.message), content: {} }));
    }
    await client.connect(transport(url, wallet));
    return client;
  },
  finish: (url, wallet, parameters) => transport(url, wallet).finishAuth(parameters),
  revision: (client) => client.getNegotiatedProtocolVersion(),
});
