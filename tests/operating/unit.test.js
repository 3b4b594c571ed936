// The unit of systemd in docs/native.md.
import assert from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const document = readFileSync(new URL("../../docs/native.md", import.meta.url), "utf8");
const hasSystemd = spawnSync("systemd-analyze", ["--version"]).status === 0;

test("documented unit is valid", { skip: !hasSystemd && "there is no systemd" }, () => {
  const [, unit] = document.match(/```ini\n([^]*?)```/);
  assert.match(unit, /^Type=notify$/m);
  const file = join(mkdtempSync(join(tmpdir(), "deputy-")), "deputy.service");
  // A program that exists on this computer.
  writeFileSync(file, unit.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
  const { status, stderr } = spawnSync("systemd-analyze", ["verify", file], { encoding: "utf8" });
  assert.strictEqual(stderr, "");
  assert.strictEqual(status, 0);
});
