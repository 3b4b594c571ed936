// The official TypeScript SDK 1.x, with MCP 2025-11-25.

import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";

import { behaviors } from "./behaviors.js";

const transport = (url, wallet) => new StreamableHTTPClientTransport(new URL(url), { authProvider: wallet });

behaviors("TypeScript SDK 1.x", {
  UnauthorizedError,
  expectedRevision: "2025-11-25",
  async connect(url, wallet, decide) {
    const capabilities = decide ? { elicitation: {} } : {};
    const client = new Client({ name: "sdk-1", version: "1.0.0" }, { capabilities });
    if (decide) {
      client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({ action: decide(params.message), content: {} }));
    }
    const over = transport(url, wallet);
    await client.connect(over);
    client.revision = over.protocolVersion;
    return client;
  },
  finish: (url, wallet, parameters) => transport(url, wallet).finishAuth(parameters.get("code")),
  revision: (client) => client.revision,
});
