// Copies the documents, the examples and deploy/ for a package into a folder: `node scripts/documents.js <folder> <version>`. A link to another file of
// the repository leads there if the environment names the repository, as in a workflow of GitHub. Otherwise its text remains.

import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const [folder, version] = process.argv.slice(2);
const { GITHUB_REPOSITORY, GITHUB_SERVER_URL } = process.env;
const repository = GITHUB_REPOSITORY && `${GITHUB_SERVER_URL}/${GITHUB_REPOSITORY}/blob/v${version}`;

const PACKED = ["*.md", "LICENSE-*", ".env.example", "docs/*.md", "docs/*.http", "deploy/**", "examples/invoices/*"].map((glob) => `:(glob)${glob}`);

/** The committed files: others, such as secrets of Compose, may lie beside them. A workflow packs as another user than the owner. */
function committed() {
  const args = ["-c", "safe.directory=*", "ls-files", "-z", ...PACKED];
  const { status, stdout, stderr } = spawnSync("git", args, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout.split("\0").filter(Boolean);
}

const files = new Set(committed());
const folders = new Set([...files].flatMap(parents));

function parents(file) {
  const parent = posix.dirname(file);
  return parent === "." ? [] : [parent, ...parents(parent)];
}

/** The text of a page, with links that work in the folder. */
function packed(page, text) {
  const link = /(!?)\[((?:[^[\]]|!\[[^\]]*\]\([^)]*\))*)\]\(([^)\s]+)\)/g;
  return text.replace(link, (whole, picture, words, target) => {
    if (/^(#|[a-z]+:)/.test(target)) return whole;
    const [path, fragment] = target.split("#");
    const named = posix.normalize(posix.join(posix.dirname(page), path));
    if (files.has(named) || folders.has(named.replace(/\/$/, ""))) return whole;
    if (repository) return `${picture}[${words}](${repository}/${named}${picture ? "?raw=true" : ""}${fragment ? `#${fragment}` : ""})`;
    return words;
  });
}

for (const file of files) {
  const packedFile = join(folder, file);
  mkdirSync(dirname(packedFile), { recursive: true });
  if (file.endsWith(".md")) writeFileSync(packedFile, packed(file, readFileSync(join(root, file), "utf8")));
  else copyFileSync(join(root, file), packedFile);
}
