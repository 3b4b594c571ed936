#!/usr/bin/env node
// Makes a folder with a ready-built Deputy, an OpenAPI document, and the configuration of both.

import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = fileURLToPath(new URL(".", import.meta.url));

/** The variables that every deployment needs, each with its option and its question. */
const VARIABLES = [
  ["PUBLIC_URL", "public-url", "URL of the Worker, such as https://deputy.<your subdomain>.workers.dev"],
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
${VARIABLES.map(([, option, words]) => `  --${option.padEnd(28)} ${words}`).join("\n")}

It asks for values that are missing, if it runs on a terminal. Otherwise wrangler.jsonc says what is missing.`;

function fail(message) {
  console.error(`create-deputy: ${message}`);
  process.exit(1);
}

const names = ["openapi", "overlay", ...VARIABLES.map(([, option]) => option)];
const { values, positionals } = (() => {
  try {
    const options = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
    return parseArgs({ allowPositionals: true, options: { ...options, help: { type: "boolean" } } });
  } catch (error) {
    return fail(`${error.message}\n\n${HELP}`);
  }
})();
if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const folder = resolve(positionals[0] ?? "deputy");

/** Puts the ready-built Worker into the folder, in place of an earlier one. */
function installWorker() {
  const unfinished = join(folder, ".deputy.new");
  rmSync(unfinished, { recursive: true, force: true });
  cpSync(join(here, "deputy"), unfinished, { recursive: true });
  rmSync(join(folder, "deputy"), { recursive: true, force: true });
  renameSync(unfinished, join(folder, "deputy"));
}

if (existsSync(join(folder, "deputy", "module.js"))) {
  installWorker();
  console.log(`The Worker in ${folder} is that of this version. Deploy it with: npx wrangler deploy`);
  process.exit(0);
}
if (existsSync(folder) && readdirSync(folder).length > 0) fail(`the folder ${folder} is not empty`);

// Answers, from the options or from the terminal.
const terminal = process.stdin.isTTY ? createInterface({ input: process.stdin, output: process.stdout }) : undefined;
async function ask(option, words) {
  return values[option] ?? (await terminal?.question(`${words}: `))?.trim();
}
const openapi = await ask("openapi", "File with the OpenAPI document");
if (!openapi || !existsSync(openapi)) fail("--openapi names no file with an OpenAPI document");
const overlay = values.overlay;
if (overlay && !existsSync(overlay)) fail("--overlay names no file");
const answers = {};
for (const [name, option, words] of VARIABLES) answers[name] = await ask(option, words);
terminal?.close();

mkdirSync(folder, { recursive: true });
cpSync(join(here, "template"), folder, { recursive: true });
// npm leaves a file named .gitignore out of packages.
renameSync(join(folder, "gitignore"), join(folder, ".gitignore"));
installWorker();
const document = extname(openapi) === ".json" ? "openapi.json" : "openapi.yaml";
copyFileSync(openapi, join(folder, document));
if (overlay) copyFileSync(overlay, join(folder, "overlay.yaml"));

/** Replaces texts in a file of the folder. */
function edit(file, replacements) {
  let text = readFileSync(join(folder, file), "utf8");
  for (const [old, replacement] of replacements) text = text.replaceAll(old, () => replacement);
  writeFileSync(join(folder, file), text);
}
const name = basename(folder).toLowerCase().replace(/[^a-z0-9-]+/g, "-").replace(/^-+|-+$/g, "") || "deputy";
edit("index.js", [["openapi.yaml", document]]);
edit("package.json", [["\"name\": \"deputy\"", `"name": ${JSON.stringify(name)}`], ["openapi.yaml", document]]);
edit("wrangler.jsonc", [["\"name\": \"deputy\"", `"name": ${JSON.stringify(name)}`]]);
const unset = [];
for (const [variable] of VARIABLES) {
  if (!answers[variable]) unset.push(variable);
  else edit("wrangler.jsonc", [[new RegExp(`(?<="${variable}": )"<.*>"`, "g"), JSON.stringify(answers[variable])]]);
}

const listed = spawnSync(process.execPath, [join(folder, "deputy", "tools.js"), join(folder, document), join(folder, "overlay.yaml")], {
  encoding: "utf8",
});
if (listed.status !== 0) {
  const repair = `Mend it in ${folder}, and print the tools with: npm run tools`;
  console.error(`create-deputy: the document cannot be served as it is: ${listed.stderr.trim()}. ${repair}`);
  process.exitCode = 1;
}
console.log(`${listed.stdout}
${folder} has your Deputy. ${listed.status === 0 ? "The tools are above. " : ""}Change the tools with overlay.yaml, and print them again with: npm run tools
${unset.length > 0 ? `\nFill in wrangler.jsonc: ${unset.join(", ")}.\n` : ""}
  cd ${JSON.stringify(folder)}
  npm install
  npx wrangler deploy
  npx wrangler secret put PINGONE_CLIENT_SECRET
  npx wrangler secret put SERVER_KEY     (make it with: openssl rand -base64 32)

Clients connect to ${answers.PUBLIC_URL ?? "<PUBLIC_URL>"}/mcp.`);
