// `wrangler dev` for the demo and the tests.

import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

/** The path of a Node.js that runs wrangler: the one in the npm packages, or else the current one. */
export function node() {
  const pinned = readdirSync(join(here, "node_modules")).find((name) => /^node-(?!bin$)/.test(name));
  return pinned ? join(here, "node_modules", pinned, "bin/node") : process.execPath;
}

export const wrangler = join(here, "node_modules/wrangler/bin/wrangler.js");

/**
 * The command that runs the Worker of `root`/wrangler.jsonc on `port`, with those of the files `beside` it. Its data are in the folder `data`, which no other runtime
 * may use at the same time. `log` is the lowest level that wrangler prints.
 */
export function dev({ root, beside = [], port, data, variables, log }) {
  // Other users of this computer have no access.
  mkdirSync(data, { recursive: true, mode: 0o700 });
  chmodSync(data, 0o700);
  // In a file, because other users can read the arguments of a process. No value contains a quote or a dollar sign.
  const file = `${data}.env`;
  const lines = Object.entries(variables).map(([name, value]) => `${name}='${value}'\n`);
  // The mode is set before the content is written, even if the file exists.
  writeFileSync(file, "", { mode: 0o600 });
  chmodSync(file, 0o600);
  writeFileSync(file, lines.join(""));
  const configs = ["wrangler.jsonc", ...beside].flatMap((name) => ["--config", join(root, name)]);
  return {
    command: node(),
    args: [
      wrangler,
      ...["dev", ...configs, "--port", String(port), "--ip", "127.0.0.1"],
      ...["--persist-to", data, "--env-file", file, "--log-level", log, "--inspector-port", "0"],
      "--show-interactive-dev-session=false",
    ],
    cwd: root,
    env: {
      CI: "1",
      CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV: "true",
      // wrangler's own log file would contain every request.
      WRANGLER_WRITE_LOGS: "false",
      WRANGLER_SEND_METRICS: "false",
      // Its traces contain the whole URL of every request, and its explorer shows the storage to any local process.
      X_LOCAL_EXPLORER: "false",
      X_LOCAL_OBSERVABILITY: "false",
      WORKER_IS_BUILT: "1",
    },
  };
}
