// The unit of systemd in docs/native.md, and the drop-ins for it.
import assert from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const page = (name) => readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), "utf8");
const blocks = (language, text) => [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, "g"))].map(([, block]) => block);
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;
const [unit, dropIn] = blocks("ini", page("native"));
const [replicasDropIn] = blocks("ini", page("replicas"));

for (const [name, more] of [
  ["unit", ""],
  ["unit with the drop-in", dropIn],
  ["unit with the drop-in for replicas", replicasDropIn],
])
  test(`documented ${name} is valid`, { skip: !hasSystemd && "there is no systemd" }, () => {
    assert.match(unit, /^Type=notify$/m);
    const file = join(mkdtempSync(join(tmpdir(), "deputy-")), "deputy.service");
    // A program that exists on this computer.
    writeFileSync(file, unit.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
    mkdirSync(`${file}.d`);
    writeFileSync(join(`${file}.d`, "override.conf"), more);
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
    assert.strictEqual(stderr, "");
    assert.strictEqual(status, 0);
  });

for (const [name, more] of [
  ["native", dropIn],
  ["replicas", replicasDropIn],
])
  test(`${name}.md: the service reads copies of the files with secrets`, () => {
    const credentials = [...more.matchAll(/^LoadCredential=(\S+?):(\S+)$/gm)];
    const files = blocks("sh", page(name)).join("").matchAll(/^(\w+_FILE)=(\S+)$/gm);
    const named = [...files].map(([, variable, path]) => `${variable} ${path}`).sort();
    const variables = new Set(named.map((line) => line.split(" ")[0]));
    assert.ok(variables.size > 0 && variables.size === credentials.length);
    // Once for commands of root, and once for the service, which the drop-in has systemd read last.
    const paths = credentials.flatMap(([, credential, source]) => [source, `/run/credentials/deputy.service/${credential}`]);
    assert.deepStrictEqual(named.map((line) => line.split(" ")[1]).sort(), paths.sort());
    assert.strictEqual(named.length, 2 * variables.size);
    assert.match(more, /^EnvironmentFile=\/etc\/deputy\/service\.env$/m);
  });
