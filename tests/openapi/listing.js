// Lists the tools of a document with the official TypeScript SDK, and prints their number:
// DEPUTY=<program> node tests/openapi/listing.js <document> <overlay> <scopes>

import { Demo, alice } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";

const sdk = new URL("../clients/node/node_modules/@modelcontextprotocol/sdk/dist/esm/client/", import.meta.url);
const { Client } = await import(new URL("index.js", sdk));
const { StreamableHTTPClientTransport } = await import(new URL("streamableHttp.js", sdk));

const [OPENAPI, OPENAPI_OVERLAY, scopes] = process.argv.slice(2);
// No request is sent to the API.
const demo = await Demo.start({ apiUrl: "http://localhost:9", scopes: scopes || "any", env: { OPENAPI, OPENAPI_OVERLAY } });
try {
  const { access_token } = await logIn(demo, await register(demo.at("/register")), alice);
  const headers = { authorization: `Bearer ${access_token}` };
  const client = new Client({ name: "listing", version: "1.0.0" });
  await client.connect(new StreamableHTTPClientTransport(new URL(demo.mcp), { requestInit: { headers } }));
  // The SDK parses each tool, and compiles each output schema with its validator.
  const { tools, nextCursor } = await client.listTools();
  if (nextCursor) throw new Error("there are more pages");
  console.log(tools.length);
  await client.close();
} finally {
  await demo.stop();
}
