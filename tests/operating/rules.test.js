// The alert rules for Prometheus, by the program that Prometheus brings for it.
import assert from "node:assert";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

const folder = new URL("../../deploy/prometheus/", import.meta.url).pathname;

function promtool(...words) {
  const { status, stdout, stderr, error } = spawnSync("promtool", words, { cwd: folder, encoding: "utf8" });
  assert.strictEqual(error, undefined);
  assert.strictEqual(status, 0, stdout + stderr);
}

test("rules are valid", () => promtool("check", "rules", "deputy.rules.yml"));

test("rules fire for a sick Deputy, and none for a healthy one", () => promtool("test", "rules", "deputy.rules.test.yml"));
