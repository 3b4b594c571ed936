// Prints the tools of a document as agents would see them: node deputy/tools.js openapi.yaml overlay.yaml

import { existsSync, readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const [document, overlay] = process.argv.slice(2);
if (!document || !existsSync(document)) {
  console.error("usage: node deputy/tools.js <OpenAPI document> [<overlay>]");
  process.exit(2);
}

// The module is that of the Worker. Node.js needs stand-ins for the runtime's own modules.
globalThis.addEventListener ??= () => {};
const standIns = (url) => {
  if (url === "cloudflare:workers") return "export class WorkerEntrypoint {}\nexport function waitUntil() {}";
  const bytes = `readFileSync(new URL(${JSON.stringify(url)}))`;
  if (url.endsWith(".wasm")) return `import { readFileSync } from "node:fs";\nexport default new WebAssembly.Module(${bytes});`;
};
registerHooks({
  resolve: (name, context, next) =>
    name === "cloudflare:workers" ? { url: name, format: "module", shortCircuit: true } : next(name, context),
  load: (url, context, next) => {
    const standIn = standIns(url);
    return standIn ? { format: "module", source: standIn, shortCircuit: true } : next(url, context);
  },
});

const { OpenApi } = await import("./module.js");
const text = (file) => file && readFileSync(file, "utf8");
// The Worker logs that it read the document.
const print = console.log;
console.log = () => {};
try {
  print(new OpenApi(text(document), text(overlay)).listing());
} catch (error) {
  console.error(error.message);
  process.exit(2);
}
