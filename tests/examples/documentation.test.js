// The code that the documentation quotes is the code of the example.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("code blocks of your-own-tools.md are in the example", () => {
  const files = ["src/lib.rs", "src/main.rs", "src/tools.rs", "worker/src/lib.rs"];
  const example = files.map((file) => read(`examples/standup/${file}`));
  const blocks = [...read("docs/your-own-tools.md").matchAll(/^```rust\n([^]*?)^```$/gm)].map(([, block]) => block);
  assert.ok(blocks.length >= 5);
  for (const block of blocks) assert.ok(example.some((file) => file.includes(block)), `not in the example:\n${block}`);
});
