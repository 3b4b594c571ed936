// Prints the tools of a document as agents would see them, as `deputy tools` does.

import { parseArgs } from "node:util";

import { readTools, readText } from "./node.js";

const USAGE = `usage: node deputy/tools.js <OpenAPI document> [<overlay>] [--check | --diff <earlier document>] [--json]

Prints the tools of the document as agents would see them, and what could be better about them.

  --check         fail if there is a warning, or an operation that is left out by no decision of yours
  --diff <file>   earlier version of the document, to which the same overlay is applied: print which tools differ
  --json          print one JSON document, with the schemas that agents see`;

function fail(message) {
  console.error(message);
  process.exit(2);
}

const { values, positionals } = (() => {
  const options = { check: { type: "boolean" }, diff: { type: "string" }, json: { type: "boolean" }, help: { type: "boolean" } };
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    return fail(`${error.message}\n\n${USAGE}`);
  }
})();
const { check, diff, json, help } = values;
const [document, overlay] = positionals;
if (help) {
  console.log(USAGE);
  process.exit(0);
}
if (!document || positionals.length > 2) fail(USAGE);
if (check && diff !== undefined) fail(`--check and --diff cannot be used together\n\n${USAGE}`);

try {
  const overlayText = overlay && readText(overlay);
  const tools = readTools(document, overlayText);
  if (diff === undefined) {
    console.log(json ? tools.json() : tools.listing());
    const problems = tools.problems();
    if (check && problems > 0) {
      console.error(`problems found: ${problems}`);
      process.exitCode = 1;
    }
  } else {
    const changes = tools.changes_since(readTools(diff, overlayText));
    console.log(json ? JSON.stringify({ changes }) : changes.join("\n") || "no tool differs");
  }
} catch (error) {
  fail(error.message);
}
