// The official TypeScript client of the stateless era.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

import { behaviours } from "./behaviours.js";

const REVISION = "2026-07-28";

const transport = (url, wallet) => new StreamableHTTPClientTransport(new URL(url), { authProvider: wallet });

behaviours("TypeScript SDK 2.x", {
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
