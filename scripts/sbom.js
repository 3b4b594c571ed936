// Prints the components of Deputy as a CycloneDX document: the crates of the native program, and those of the Worker.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The packages that the package `name` of a workspace needs on `target`, without development dependencies. */
function packages(manifest, name, target) {
  const args = ["metadata", "--format-version", "1", "--manifest-path", manifest, "--filter-platform", target];
  const { status, stdout, stderr } = spawnSync("cargo", args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(stderr);
  const { packages, resolve } = JSON.parse(stdout);
  const byId = new Map(packages.map((item) => [item.id, item]));
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const found = new Map();
  const visit = (id) => {
    if (found.has(id)) return;
    found.set(id, byId.get(id));
    for (const { pkg, dep_kinds } of nodes.get(id).deps) if (dep_kinds.some(({ kind }) => kind !== "dev")) visit(pkg);
  };
  visit(packages.find((item) => item.name === name).id);
  return [...found.values()];
}

const used = [
  ...packages("Cargo.toml", "deputy-native", "x86_64-unknown-linux-gnu"),
  ...packages("hosts/cloudflare/Cargo.toml", "deputy-openapi-worker", "wasm32-unknown-unknown"),
];
const components = new Map();
for (const { name, version, license, source, repository } of used) {
  const purl = source ? `pkg:cargo/${name}@${version}` : undefined;
  components.set(`${name}@${version}`, {
    type: "library",
    "bom-ref": `${name}@${version}`,
    name,
    version,
    ...(license && { licenses: [{ expression: license.replaceAll("/", " OR ") }] }),
    ...(purl && { purl }),
    ...(repository && source && { externalReferences: [{ type: "vcs", url: repository }] }),
  });
}
const { version } = used[0];
const sorted = [...components.values()].sort((one, other) => (one["bom-ref"] < other["bom-ref"] ? -1 : 1));
const document = {
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: { component: { type: "application", name: "deputy", version } },
  components: sorted,
};
console.log(JSON.stringify(document, null, 1));
