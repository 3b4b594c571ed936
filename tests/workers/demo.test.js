// The demo on workerd hides its secrets from other users of this computer.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { Demo } from "../clients/node/demo.js";

describe("demo on workerd", { timeout: 60_000 }, () => {
  let demo;
  before(async () => (demo = await Demo.start()));
  after(() => demo?.stop());

  test("process arguments contain no secret", async () => {
    const variables = await readFile(join(demo.folder, "workerd.env"), "utf8");
    const { stdout } = await promisify(execFile)("ps", ["-A", "-ww", "-o", "args"]);
    assert.ok(stdout.includes(join(demo.folder, "workerd")), "ps lists the processes of the demo");
    for (const name of ["PINGONE_CLIENT_SECRET", "SERVER_KEY"]) {
      const [, value] = variables.match(new RegExp(`^${name}='(.{16,})'$`, "m"));
      assert.ok(!stdout.includes(value), name);
    }
  });

  test("files and folders are unreadable to other users", async () => {
    const mode = async (name) => (await stat(join(demo.folder, name))).mode & 0o777;
    for (const name of ["workerd", "workerd-todo-api"]) assert.equal(await mode(name), 0o700, name);
    for (const name of ["cookie-encryption-key", "pingone.json", "workerd.env"]) assert.equal(await mode(name), 0o600, name);
  });
});
