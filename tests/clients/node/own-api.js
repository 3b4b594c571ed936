#!/usr/bin/env node
// Takes the place of `deputy demo` with one more option: --api-url names an API that replaces the Todo API. It runs
// `deputy serve` and the simulated PingOne.

import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

// The same as in the demo.
const API_IDENTIFIER = "https://todo.deputy.example";

const [deputy, ...args] = process.argv.slice(2);
const names = ["port", "todo-api-port", "pingone-port", "api-url", "data-dir"];
const { values: options } = parseArgs({
  args,
  // The first argument is `demo`.
  allowPositionals: true,
  options: Object.fromEntries(names.map((name) => [name, { type: "string" }])),
});
const url = `http://localhost:${options.port}`;
const pingone = `http://localhost:${options["pingone-port"]}`;

const children = [];
function start(command, args, { env, stdout }) {
  const child = spawn(command, args, { cwd: options["data-dir"], env: { ...process.env, ...env }, stdio: ["ignore", stdout, "inherit"] });
  // If one process ends, end the other.
  child.once("error", (error) => stop(1, `${command}: ${error.message}`));
  child.once("exit", () => stop(1));
  children.push(child);
  return child;
}
function stop(status, reason) {
  if (reason) console.error(reason);
  for (const child of children) child.kill("SIGTERM");
  process.exitCode ??= status;
}
process.once("SIGTERM", () => stop(0));

const simulator = start(
  join(dirname(deputy), "pingone-sim"),
  [
    ...["--listen", `127.0.0.1:${options["pingone-port"]}`, "--base-url", pingone],
    ...["--redirect-uri", `${url}/callback`, "--api-identifier", API_IDENTIFIER],
  ],
  { stdout: "pipe" },
);
const variables = {};
for await (const line of createInterface(simulator.stdout)) {
  const [, name, value] = line.match(/^([A-Z_]+)=(.*)$/) ?? [];
  if (name) variables[name] = value;
  if (Object.keys(variables).length === 4) break;
}
start(deputy, ["serve", "--listen", `localhost:${options.port}`, "--data-dir", join(options["data-dir"], "deputy")], {
  env: {
    ...variables,
    API_IDENTIFIER,
    API_URL: options["api-url"],
    COOKIE_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString("base64"),
    PUBLIC_URL: url,
    WHO_AM_I_TOKEN: "full",
    CLIENT_ID_METADATA_DOCUMENTS: "off",
  },
  stdout: "inherit",
});
