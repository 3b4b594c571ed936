// The links of the documents to files and headings of the repository.
import assert from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (page) => readFileSync(posix.join(root, page), "utf8");

/** The ids that GitHub gives the headings of a page. */
function ids(page) {
  const headings = [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, text]) => text.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1"));
  return headings.map((text) => text.trim().toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-"));
}

test("links of documents lead to files and headings", () => {
  const { stdout } = spawnSync("git", ["ls-files", "*.md"], { cwd: root, encoding: "utf8" });
  const pages = stdout.trim().split("\n");
  assert.ok(pages.includes("docs/native.md"));
  const lost = pages.flatMap((page) => {
    const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target);
    return links.filter((target) => {
      if (/^[a-z]+:/.test(target)) return false;
      const [path, id] = target.split("#");
      const file = path ? posix.normalize(posix.join(posix.dirname(page), path)) : page;
      return !existsSync(posix.join(root, file)) || (id && file.endsWith(".md") && !ids(file).includes(id));
    }).map((target) => `${page}: ${target}`);
  });
  assert.deepStrictEqual(lost, []);
});
