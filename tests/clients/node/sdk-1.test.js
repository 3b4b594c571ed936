// The official TypeScript SDK of the `initialize` era.

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

import { behaviours } from "./behaviours.js";

const transport = (url, wallet) => new StreamableHTTPClientTransport(new URL(url), { authProvider: wallet });

behaviours("TypeScript SDK 1.x", {
  UnauthorizedError,
  expectedRevision: "2025-11-25",
  async connect(url, wallet) {
    const client = new Client({ name: "sdk-1", version: "1.0.0" });
    const over = transport(url, wallet);
    await client.connect(over);
    client.revision = over.protocolVersion;
    return client;
  },
  finish: (url, wallet, parameters) => transport(url, wallet).finishAuth(parameters.get("code")),
  revision: (client) => client.revision,
});
