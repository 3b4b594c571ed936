#!/usr/bin/env node
// Makes a folder with a ready-built Deputy, an OpenAPI document, and the configuration of both.

import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = fileURLToPath(new URL(".", import.meta.url));

/** The variables that every deployment needs, each with its option and its question, for a Worker with a name. */
const variables = (name) => [
  ["PUBLIC_URL", "public-url", `URL of the Worker, such as https://${name}.<your subdomain>.workers.dev`],
  ["PINGONE_ISSUER", "pingone-issuer", "PingOne's issuer, https://auth.pingone.<region>/<environment id>/as"],
  ["PINGONE_CLIENT_ID", "pingone-client-id", "Client id of Deputy's application in PingOne"],
  ["PINGONE_DV_POLICY_ID", "pingone-dv-policy-id", "Id of the DaVinci flow policy"],
  ["API_IDENTIFIER", "api-identifier", "Audience of the API's access tokens in PingOne"],
  ["API_URL", "api-url", "URL of the API, before the paths of the document"],
];

const HELP = `create-deputy [<folder>] [options]

Makes a folder with a Cloudflare Worker whose tools are the operations of an OpenAPI document. In a folder that it made before,
it replaces the Worker by that of this version, and nothing else.

  --openapi <file>               OpenAPI 3.0 or 3.1 document, JSON or YAML
  --overlay <file>               OpenAPI Overlay with what agents get of it
${variables("<folder>").map(([, option, words]) => `  --${option.padEnd(28)} ${words}`).join("\n")}

It asks for values that are missing, if it runs on a terminal. Otherwise wrangler.jsonc says what is missing.`;

function fail(message, status = 1) {
  console.error(`create-deputy: ${message}`);
  process.exit(status);
}

/** Ends for a command line that cannot be understood, with the status that `deputy` has then. */
const misused = (message) => fail(`${message}\n\n${HELP}`, 2);

const options = ["openapi", "overlay", ...variables("").map(([, option]) => option)];
const { values, positionals } = (() => {
  try {
    const texts = Object.fromEntries(options.map((option) => [option, { type: "string" }]));
    return parseArgs({ allowPositionals: true, options: { ...texts, help: { type: "boolean" } } });
  } catch (error) {
    return misused(error.message);
  }
})();
if (values.help) {
  console.log(HELP);
  process.exit(0);
}
if (positionals.length > 1) misused(`one folder is expected, and not also ${positionals.slice(1).join(" ")}`);

const folder = resolve(positionals[0] ?? "deputy");
/** The name of the Worker. */
const name = basename(folder).toLowerCase().replace(/[^a-z0-9-]+/g, "-").replace(/^-+|-+$/g, "") || "deputy";

/** Puts the ready-built Worker into the folder, in place of an earlier one. */
function installWorker() {
  const unfinished = join(folder, ".deputy.new");
  rmSync(unfinished, { recursive: true, force: true });
  cpSync(join(here, "deputy"), unfinished, { recursive: true });
  rmSync(join(folder, "deputy"), { recursive: true, force: true });
  renameSync(unfinished, join(folder, "deputy"));
}

if (existsSync(join(folder, "deputy", "module.js"))) {
  const given = options.filter((option) => values[option] !== undefined).map((option) => `--${option}`);
  if (given.length > 0) {
    const stays = `${folder} has a Deputy already, whose document and configuration stay, so ${given.join(" ")} would have no effect`;
    fail(`${stays}. Change the files of the folder, or leave the options out to replace the Worker by that of this version`);
  }
  installWorker();
  console.log(`The Worker in ${folder} is that of this version. Deploy it with: npx wrangler deploy`);
  process.exit(0);
}
if (existsSync(folder) && readdirSync(folder).length > 0) fail(`the folder ${folder} is not empty`);

const { readText, readTools, variableError } = await import("./deputy/node.js");

// Answers, from the options or from the terminal. Nothing is written before all of them are right.
const terminal = process.stdin.isTTY ? createInterface({ input: process.stdin, output: process.stdout }) : undefined;
/** The value of an option, or else an answer without a problem. */
async function ask(option, words, problem) {
  if (values[option] !== undefined || !terminal) return values[option];
  for (;;) {
    const answer = (await terminal.question(`${words}: `)).trim();
    const found = problem(answer);
    if (!found) return answer;
    console.log(found);
  }
}
const NO_DOCUMENT = "names no file with an OpenAPI document";
const noFile = (file) => (existsSync(file) ? undefined : `"${file}" ${NO_DOCUMENT}`);
const wrongValue = (variable) => (value) => {
  const error = value && variableError(variable, value);
  return error ? `${variable}: ${error}` : undefined;
};
const wrong = variables(name).map(([variable, option]) => [option, wrongValue(variable)(values[option])]);
const refused = wrong.filter(([, error]) => error).map(([option, error]) => `\n  --${option}: ${error}`);
if (refused.length > 0) fail(`the Worker would refuse these values:${refused.join("")}`);
const openapi = await ask("openapi", "File with the OpenAPI document", noFile);
if (!openapi || noFile(openapi)) fail(`--openapi ${NO_DOCUMENT}`);
const overlay = values.overlay ?? join(here, "template", "overlay.yaml");
if (!existsSync(overlay)) fail("--overlay names no file");
const tools = (() => {
  try {
    return readTools(openapi, readText(overlay));
  } catch (error) {
    return fail(error.message);
  }
})();
const answers = {};
for (const [variable, option, words] of variables(name)) answers[variable] = await ask(option, words, wrongValue(variable));
terminal?.close();

mkdirSync(folder, { recursive: true });
cpSync(join(here, "template"), folder, { recursive: true });
// npm leaves a file named .gitignore out of packages.
renameSync(join(folder, "gitignore"), join(folder, ".gitignore"));
installWorker();
const document = extname(openapi) === ".json" ? "openapi.json" : "openapi.yaml";
copyFileSync(openapi, join(folder, document));
copyFileSync(overlay, join(folder, "overlay.yaml"));

/** Replaces texts in a file of the folder. */
function edit(file, replacements) {
  let text = readFileSync(join(folder, file), "utf8");
  for (const [old, replacement] of replacements) text = text.replaceAll(old, () => replacement);
  writeFileSync(join(folder, file), text);
}
edit("index.js", [["openapi.yaml", document]]);
edit("package.json", [["\"name\": \"deputy\"", `"name": ${JSON.stringify(name)}`], ["openapi.yaml", document]]);
edit("wrangler.jsonc", [
  ["\"name\": \"deputy\"", `"name": ${JSON.stringify(name)}`],
  ["https://deputy.<your subdomain>", `https://${name}.<your subdomain>`],
]);
const unset = [];
for (const [variable] of variables(name)) {
  if (!answers[variable]) unset.push(variable);
  else edit("wrangler.jsonc", [[new RegExp(`(?<="${variable}": )"<.*>"`, "g"), JSON.stringify(answers[variable])]]);
}

console.log(`${tools.listing()}\n`);
const isServed = tools.count() > 0;
if (!isServed) {
  const reasons = "the list above has the reason of each operation";
  console.error(`create-deputy: no operation of the document can be served: ${reasons}. Decide with overlay.yaml in ${folder}`);
  process.exitCode = 1;
}
const scopes = isServed && tools.scopes_error();
console.log(`${folder} has your Deputy. The tools are above. Change the tools with overlay.yaml, and print them again with: npm run tools
${unset.length > 0 ? `\nFill in wrangler.jsonc: ${unset.join(", ")}.\n` : ""}${scopes ? `\nAdd API_SCOPES to the vars of wrangler.jsonc: it ${scopes}.\n` : ""}
  cd ${JSON.stringify(folder)}
  npm install
  npx wrangler deploy
  npx wrangler secret put PINGONE_CLIENT_SECRET
  npx wrangler secret put SERVER_KEY     (make it with: openssl rand -base64 32)

Clients connect to ${answers.PUBLIC_URL || "<PUBLIC_URL>"}/mcp.`);
