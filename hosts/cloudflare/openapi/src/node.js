// The module of the Worker in Node.js, for programs that show the operator its tools.

import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

// Node.js needs stand-ins for the runtime's own modules.
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

const { DocumentTools } = await import("./module.js");

/** Why the Worker would refuse this value of a variable, if it would. */
export const variableError = DocumentTools.variable_error;

/** The text of a file. */
export function readText(file) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    throw new Error(error instanceof TypeError ? `${file} is not UTF-8. Save it as UTF-8` : `${file} cannot be read: ${error.message}`);
  }
}

/** The tools of the document in a file, after the changes of an overlay with the text `overlay`, if there is one. */
export function readTools(file, overlay) {
  const text = readText(file);
  try {
    return new DocumentTools(text, overlay);
  } catch (error) {
    throw new Error(`${file} cannot be used: ${error.message}`);
  }
}
