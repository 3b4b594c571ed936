#!/usr/bin/env node
// `deputy demo` on workerd, with the same options and the same users. Deputy and the Todo API are Workers that build.sh
// has built. The simulated PingOne is the native program.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { dev } from "./wrangler.js";

const here = fileURLToPath(new URL(".", import.meta.url));
const repository = resolve(here, "../..");
const programs = process.env.DEPUTY_PROGRAMS ?? join(repository, "target/debug");
// The folder of the Worker's wrangler.jsonc. A Worker with other tools has a folder of its own.
const deputy = resolve(process.env.DEPUTY_WORKER_FOLDER ?? repository);
const { values: options } = parseArgs({
  // The first argument is `demo`, as for the native program.
  allowPositionals: true,
  options: {
    port: { type: "string", default: "8787" },
    "todo-api-port": { type: "string", default: "8788" },
    "pingone-port": { type: "string", default: "8789" },
    // The URL of an API that replaces the Todo API, unless it is that of the Todo API with another path.
    "api-url": { type: "string" },
    "api-identifier": { type: "string", default: "https://todo.deputy.example" },
    scopes: { type: "string", default: "todo:read todo:write" },
    // Lists are empty at the start.
    empty: { type: "boolean", default: false },
    "data-dir": { type: "string", default: "data/worker-demo" },
  },
});

const API_IDENTIFIER = options["api-identifier"];
const API_SCOPES = options.scopes;
// The settings that the environment may change, as for the native program: not those of PingOne, the API, the key and the public URL.
const shared = [...readFileSync(join(repository, ".env.example"), "utf8").matchAll(/^#?([A-Z_]+)=/gm)].map(([, name]) => name);
const names = [...shared, "SUBREQUESTS"];
const own = /^(API_|PINGONE_|PUBLIC_URL$|SERVER_KEY$)/;
const settings = Object.fromEntries(
  names.filter((name) => process.env[name] && !own.test(name)).map((name) => [name, process.env[name]]),
);

const folder = resolve(options["data-dir"]);
// Other users of this computer have no access, as on the native host.
mkdirSync(folder, { recursive: true, mode: 0o700 });
chmodSync(folder, 0o700);
const children = [];
let stopping = false;

/** Starts a program. It ends with this process, and this process ends with it. */
function start(command, args, { cwd, env, stdout } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", stdout ?? "inherit", "inherit"],
  });
  child.on("error", (error) => stop(`${command}: ${error.message}`));
  child.on("exit", (code, signal) => stopping || stop(`${command} ended (${code ?? signal})`));
  children.push(child);
  return child;
}

async function stop(reason) {
  if (stopping) return;
  stopping = true;
  if (reason) console.error(reason);
  const running = children.filter(({ exitCode, signalCode, pid }) => pid && exitCode === null && signalCode === null);
  const ends = running.map((child) => once(child, "exit"));
  running.forEach((child) => child.kill("SIGTERM"));
  const overdue = setTimeout(() => running.forEach((child) => child.kill("SIGKILL")), 8_000);
  await Promise.all(ends);
  clearTimeout(overdue);
  process.exit(reason ? 1 : 0);
}
process.on("SIGTERM", () => stop());
process.on("SIGINT", () => stop());

/** The values of the first `count` lines `NAME=value` that a program prints. */
async function readVariables(child, count) {
  const values = {};
  for await (const line of createInterface(child.stdout)) {
    const [, name, value] = line.match(/^([A-Z_]+)=(.*)$/) ?? [];
    if (name) values[name] = value;
    if (Object.keys(values).length === count) break;
  }
  child.stdout.resume();
  return values;
}

/** The content of the file `name`, which `create` returns for a new file. */
function persistent(name, create) {
  const file = join(folder, name);
  if (!existsSync(file)) writeFileSync(file, create(), { mode: 0o600 });
  return readFileSync(file, "utf8");
}

/** A free port below the range from which the system assigns ports. */
async function freePort() {
  for (;;) {
    const server = createServer();
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const listens = await new Promise((settle) => server.once("error", () => settle(false)).listen(port, () => settle(true)));
    if (!listens) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** Starts the Worker in the folder `root`, with its data in the subfolder `data`, and waits until `path` responds. */
async function startWorker(root, data, port, variables, path) {
  // The native program reads LOG too, as a filter. wrangler only knows levels.
  const log = process.env.LOG ? "log" : "error";
  // A folder of the tests may have more than one Worker.
  const beside = root === repository ? [] : readdirSync(root).filter((name) => /^wrangler\..+\.jsonc$/.test(name));
  const { command, args, ...where } = dev({ root, beside, port, data: join(folder, data), variables, log });
  const worker = start(command, args, { ...where, stdout: "pipe" });
  worker.stdout.on("data", (chunk) => /\S/.test(chunk) && process.stderr.write(chunk));
  while (worker.exitCode === null) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => null);
    if (response) return;
    await sleep(100);
  }
}

const webhookSecret = randomBytes(32).toString("base64");
const ports = {};
for (const name of ["port", "todo-api-port", "pingone-port"]) ports[name] = Number(options[name]) || (await freePort());
const [url, todoApi, issuer] = Object.values(ports).map((port) => `http://localhost:${port}`);
const api = options["api-url"] ?? todoApi;

const pingone = start(
  join(programs, "pingone-sim"),
  [
    ...["--listen", `127.0.0.1:${ports["pingone-port"]}`, "--base-url", issuer],
    ...["--redirect-uri", `${url}/callback`, "--api-identifier", API_IDENTIFIER, "--scopes", API_SCOPES],
    ...["--state-file", join(folder, "pingone.json"), "--webhook-url", `${url}/pingone/events`],
  ],
  // Other users can read the arguments of a process.
  { stdout: "pipe", env: { PINGONE_SIM_WEBHOOK_SECRET: webhookSecret } },
);
const upstream = await readVariables(pingone, 4);

await Promise.all([
  new URL(api).origin === todoApi &&
    startWorker(
      join(here, "todo-api"),
      "workerd-todo-api",
      ports["todo-api-port"],
      { PINGONE_ISSUER: upstream.PINGONE_ISSUER, API_IDENTIFIER, FIRST_TODOS: options.empty ? "off" : "on" },
      "/",
    ),
  startWorker(
    deputy,
    "workerd",
    ports.port,
    {
      ...upstream,
      API_IDENTIFIER,
      API_SCOPES,
      API_URL: api,
      SERVER_KEY: persistent("cookie-encryption-key", () => randomBytes(32).toString("base64")),
      PINGONE_WEBHOOK_SECRET: webhookSecret,
      PRIVATE_USE_REDIRECT_URIS: "cursor://anysphere.cursor-mcp/oauth/callback",
      PUBLIC_URL: url,
      WHO_AM_I_TOKEN: "full",
      // The demo sends no request to other computers.
      CLIENT_ID_METADATA_DOCUMENTS: "off",
      ...settings,
    },
    "/health",
  ),
]);

console.log(`Deputy's demo on workerd is ready. Everything runs on this computer, and PingOne is a simulator.

  MCP server   ${url}/mcp
  API          ${api}
  PingOne      ${issuer}

Connect a client as in the README, and log in as

  alice        password Alice-demo-1
  bob          password Bob-demo-1

Logins and todos are kept in ${folder}. Control-C stops.`);
