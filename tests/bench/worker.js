// Runs a Worker on workerd, with its KV and Durable Objects on disk, as `wrangler dev` does, but without its proxy: requests
// reach the Worker's own socket. It ends with its standard input.
//
//   node worker.js deputy <port> <folder of data> NAME=VALUE…     the Worker that is deployed
//   node worker.js floors <port> <folder of data> NAME=VALUE…     floors.js

import { createRequire } from "node:module";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const repository = join(here, "../..");
const require = createRequire(join(repository, "hosts/cloudflare/package.json"));
const { Miniflare, convertV4MiniflareOptions } = require("miniflare");

const [name, port, data, ...variables] = process.argv.slice(2);

function deputy() {
  const { unstable_getMiniflareWorkerOptions: read } = require("wrangler");
  const { workerOptions, main: built } = read(join(repository, "wrangler.jsonc"));
  // Another build of the same Worker.
  const main = process.env.DEPUTY_BUILD ? join(process.env.DEPUTY_BUILD, basename(built)) : built;
  const root = dirname(main);
  const isModule = (path) => /\.(js|wasm)$/.test(path);
  const others = readdirSync(root, { recursive: true }).filter(isModule).map((path) => join(root, path));
  // The first is the main one.
  const paths = [main, ...others.filter((path) => path !== main)];
  return { ...workerOptions, name, modulesRoot: root, modules: paths.map((path) => module(path)) };
}

function floors() {
  return {
    name,
    modulesRoot: here,
    modules: [module(join(here, "floors.js"))],
    compatibilityDate: deputy().compatibilityDate,
    kvNamespaces: ["KV"],
    durableObjects: { FLOORS: { className: "Floor", useSQLite: true } },
  };
}

function module(path) {
  return { type: path.endsWith(".wasm") ? "CompiledWasm" : "ESModule", path, contents: readFileSync(path) };
}

const worker = name === "deputy" ? deputy() : floors();
const bindings = Object.fromEntries(variables.map((variable) => variable.split(/=(.*)/s).slice(0, 2)));
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    ...worker,
    bindings,
    host: "127.0.0.1",
    port: 0,
    // The log is not what is measured.
    handleStructuredLogs: ({ level, message }) => level === "error" && console.error(message),
    kvPersist: join(data, "kv"),
    durableObjectsPersist: join(data, "objects"),
    unsafeDirectSockets: [{ host: "127.0.0.1", port: Number(port) }],
  }),
);
await miniflare.ready;
console.log(`ready ${workerd()}`);
process.stdin.on("end", () => miniflare.dispose().then(() => process.exit())).resume();
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => miniflare.dispose().then(() => process.exit()));

/** The process of the runtime, which is the one child of this one. Its name counts where there are others. */
function workerd() {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
  return children.find((pid) => readFileSync(`/proc/${pid}/comm`, "utf8").startsWith("workerd")) ?? children[0];
}
