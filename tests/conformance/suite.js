// The program of the suite, and its result files.

import { spawn } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(
  new URL("node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url),
);

/** The server scenarios that a revision requires. */
export async function requirements(revision) {
  const lines = await start(["list", "--requirements", revision]);
  const scenarios = [];
  for (const line of lines.slice(lines.findIndex((line) => line.startsWith("Server scenarios")) + 1)) {
    const [, scenario] = line.match(/^  - (\S+)$/) ?? [];
    if (!scenario) break;
    scenarios.push(scenario);
  }
  if (scenarios.length === 0) throw new Error(lines.join("\n"));
  return scenarios;
}

/**
 * Runs the program and returns the checks that it writes into `folder`, by scenario. `onLine` gets each line of its output.
 * The exit status is ignored, because 1 can mean a failed check or a crash.
 */
export async function run(folder, args, onLine) {
  const lines = await start([...args, "--output-dir", folder], onLine);
  const names = await readdir(folder).catch(() => {
    throw new Error(lines.join("\n"));
  });
  const checks = new Map();
  for (const name of names) {
    const [, scenario] = name.match(/^(?:authorization-server|server)-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/) ?? [];
    if (!scenario) throw new Error(`${name} is not the result of a scenario`);
    // A scenario that did not end has an empty folder.
    const text = await readFile(join(folder, name, "checks.json"), "utf8").catch(() => null);
    if (text) checks.set(scenario, JSON.parse(text));
  }
  return checks;
}

async function start(args, onLine = () => {}) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  const lines = [];
  const listen = async (stream) => {
    for await (const line of createInterface(stream)) {
      lines.push(line);
      onLine(line);
    }
  };
  await Promise.all([listen(child.stdout), listen(child.stderr), ended]);
  return lines;
}
