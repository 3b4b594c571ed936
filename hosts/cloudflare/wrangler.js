// `wrangler dev` as the demo and the tests run it.

import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

/** A Node.js that is new enough for wrangler: the pinned one of the packages, or this one. */
export function node() {
  const pinned = readdirSync(join(here, "node_modules")).find((name) => /^node-(?!bin$)/.test(name));
  return pinned ? join(here, "node_modules", pinned, "bin/node") : process.execPath;
}

export const wrangler = join(here, "node_modules/wrangler/bin/wrangler.js");

/**
 * The command that runs the Worker whose wrangler.jsonc is in the folder `root` on `port`, with these variables and with
 * its data in the folder `data`, which belongs to it alone: two runtimes lock each other out. `log` is the least of what
 * wrangler prints.
 */
export function dev({ root, port, data, variables, log }) {
  // For nobody else's eyes.
  mkdirSync(data, { recursive: true, mode: 0o700 });
  chmodSync(data, 0o700);
  // Others see the arguments of a process, and not this file. None of the values has a quote or a dollar sign.
  const file = `${data}.env`;
  const lines = Object.entries(variables).map(([name, value]) => `${name}='${value}'\n`);
  // Closed before anything is in it, also where it was there.
  writeFileSync(file, "", { mode: 0o600 });
  chmodSync(file, 0o600);
  writeFileSync(file, lines.join(""));
  return {
    command: node(),
    args: [
      wrangler,
      ...["dev", "--config", join(root, "wrangler.jsonc"), "--port", String(port), "--ip", "127.0.0.1"],
      ...["--persist-to", data, "--env-file", file, "--log-level", log, "--inspector-port", "0"],
      "--show-interactive-dev-session=false",
    ],
    cwd: root,
    env: {
      CI: "1",
      CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "true",
      // It would keep a log of its own that has everything.
      WRANGLER_WRITE_LOGS: "false",
      WRANGLER_SEND_METRICS: "false",
      // So do its traces, with the whole URL of every request; and its explorer shows storage to who asks.
      X_LOCAL_EXPLORER: "false",
      X_LOCAL_OBSERVABILITY: "false",
      WORKER_IS_BUILT: "1",
    },
  };
}
