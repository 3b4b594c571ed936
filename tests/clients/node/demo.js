// A process with `deputy demo`: Deputy, the Todo API and the simulated PingOne, on free ports, with a temporary folder.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The folder of the repository. */
export const repository = fileURLToPath(new URL("../../..", import.meta.url));

/** The audience of the access tokens for the demo's Todo API. */
export const API_IDENTIFIER = "https://todo.deputy.example";

export const alice = { username: "alice", password: "Alice-demo-1" };
export const bob = { username: "bob", password: "Bob-demo-1" };

export class Demo {
  /** Everything that the demo has printed. */
  output = "";
  #options;
  #process;

  /**
   * Starts the demo and waits until it is ready. `env` is added to its environment. With `apiUrl`, that API replaces the
   * Todo API. With `apiPath`, the tools call the Todo API at that path; `scopes` are those of its tokens. `deputy` is the
   * program. Lists of todos are empty at the start, unless `empty` is false. Data are in the subfolder `data`.
   */
  static async start(options = {}) {
    const demo = new Demo();
    demo.#options = options;
    demo.folder = await mkdtemp(join(tmpdir(), "deputy-demo-"));
    [demo.port, demo.todoApiPort, demo.pingonePort] = await freePorts(3);
    try {
      await demo.#run();
    } catch (error) {
      await demo.stop();
      throw error;
    }
    return demo;
  }

  /** The URL for MCP clients. */
  get mcp() {
    return `http://localhost:${this.port}/mcp`;
  }

  /** A URL of Deputy. */
  at(path) {
    return `http://localhost:${this.port}${path}`;
  }

  /** A URL of the simulated PingOne. */
  atPingOne(path) {
    return `http://localhost:${this.pingonePort}${path}`;
  }

  /** Forces a failure of the simulated PingOne, once or `always`; see `Failure` in `crates/pingone-sim`. */
  async force(failure, { always = false } = {}) {
    await this.#control("POST", "/sim/failures", { failure, always });
  }

  /** Clears the forced failures of PingOne. */
  async heal() {
    await this.#control("DELETE", "/sim/failures");
  }

  /** Changes these settings of the simulated PingOne; see `Settings` in `crates/pingone-sim`. */
  async configure(settings) {
    const earlier = await (await this.#control("GET", "/sim/settings")).json();
    await this.#control("PUT", "/sim/settings", { ...earlier, ...settings });
  }

  /** Acts on a user of PingOne: `lock`, `disable`, `delete`, `revoke-consent` or `end-sessions`. */
  async actOn({ username }, action) {
    await this.#control("POST", `/sim/users/${username}/${action}`);
  }

  /** The number of requests to an endpoint of the simulated PingOne. */
  async requestsTo(endpoint) {
    const { requests } = await (await this.#control("GET", "/sim/state")).json();
    return requests[endpoint] ?? 0;
  }

  async #control(method, path, body) {
    const init = body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(this.atPingOne(path), { method, ...init });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  /**
   * Ends the process and starts another with the same folder. With `rotate`, its server keys are those that `rotate` returns for the
   * former ones. The other members replace options.
   */
  async restart({ rotate, ...changes } = {}) {
    await this.end();
    this.#options = { ...this.#options, ...changes };
    if (rotate) {
      // Deputy has a folder of its own on the native host only.
      const own = join(this.folder, "deputy");
      const file = join(existsSync(own) ? own : this.folder, "cookie-encryption-key");
      await writeFile(file, rotate(await readFile(file, "utf8")));
    }
    await this.#run();
  }

  /** Kills the process group, then starts another process with the same folder. */
  async crash() {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    process.kill(-this.#process.pid, "SIGKILL");
    await ended;
    await this.#run();
  }

  /** Ends the process and removes the folder. */
  async stop() {
    await this.end();
    await rm(this.folder, { recursive: true });
  }

  async #run() {
    const { apiPath, apiUrl, data = ".", empty = true, env, scopes } = this.#options;
    const binary = this.#options.deputy ?? process.env.DEPUTY ?? join(repository, "target/debug/deputy");
    if (!existsSync(binary)) {
      throw new Error(`${binary} does not exist; build it with: cargo build -p deputy-native`);
    }
    const numbers = { port: this.port, "todo-api-port": this.todoApiPort, "pingone-port": this.pingonePort };
    const flags = Object.entries(numbers).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const url = apiUrl ?? (apiPath && `http://localhost:${this.todoApiPort}${apiPath}`);
    const own = [...(url ? ["--api-url", url] : []), ...(scopes ? ["--scopes", scopes] : [])];
    if (empty) own.push("--empty");
    const deputy = spawnGroup(binary, ["demo", ...flags, ...own, "--data-dir", join(this.folder, data)], {
      env: { ...process.env, ...env },
    });
    this.#process = deputy;
    const keep = (chunk) => (this.output += chunk);
    deputy.stdout.on("data", keep);
    deputy.stderr.on("data", keep);
    for (let tries = 0; tries < 300; tries += 1) {
      if (deputy.exitCode !== null) {
        throw new Error(`the demo exited with ${deputy.exitCode}:\n${this.output}`);
      }
      const response = await fetch(this.at("/.well-known/oauth-protected-resource")).catch(() => null);
      // On workerd, the Todo API is a separate process, which may start later.
      const api = apiUrl ? "another" : await fetch(`http://localhost:${this.todoApiPort}/`).catch(() => null);
      if (response?.ok && api) return;
      await sleep(100);
    }
    await this.end();
    throw new Error(`the demo does not respond:\n${this.output}`);
  }

  /** Ends the process and keeps the folder. */
  async end() {
    const deputy = this.#process;
    if (!deputy || deputy.exitCode !== null || deputy.signalCode !== null) return;
    // "close" comes after all output, also that of child processes.
    const ended = new Promise((resolve) => deputy.once("close", resolve));
    deputy.kill("SIGTERM");
    const overdue = setTimeout(() => process.kill(-deputy.pid, "SIGKILL"), 15_000);
    await ended;
    clearTimeout(overdue);
  }
}

/** Starts a process with piped output, in a process group of its own. The group is killed when this process exits. */
export function spawnGroup(command, args, options) {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"], detached: true });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

// A separate process group does not end with this process by itself.
const running = new Set();
process.once("exit", () => running.forEach(({ pid }) => process.kill(-pid, "SIGKILL")));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** Ports that were free a moment ago, on both loopback addresses. */
export async function freePorts(count) {
  const servers = [];
  while (servers.length < count) {
    const server = createServer();
    await new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, resolve);
    });
    servers.push(server);
  }
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
