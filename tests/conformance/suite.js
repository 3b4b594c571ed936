// The suite's own program, and what it writes down.

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
 * Runs the program and returns the checks that it has left in `folder`, by scenario. `hear` is told each line that it
 * prints, at once. Its exit status says less than the checks: 1 is a failed check or a crash.
 */
export async function run(folder, args, hear) {
  const lines = await start([...args, "--output-dir", folder], hear);
  const names = await readdir(folder).catch(() => {
    throw new Error(lines.join("\n"));
  });
  const checks = new Map();
  for (const name of names) {
    const [, scenario] = name.match(/^(?:authorization-server|server)-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/) ?? [];
    if (!scenario) throw new Error(`${name} is no result of a scenario`);
    // A scenario that came to no end has a folder, but nothing in it.
    const text = await readFile(join(folder, name, "checks.json"), "utf8").catch(() => null);
    if (text) checks.set(scenario, JSON.parse(text));
  }
  return checks;
}

async function start(args, hear = () => {}) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  const lines = [];
  const listen = async (stream) => {
    for await (const line of createInterface(stream)) {
      lines.push(line);
      hear(line);
    }
  };
  await Promise.all([listen(child.stdout), listen(child.stderr), ended]);
  return lines;
}
