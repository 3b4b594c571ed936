// What others on this computer see of the demo on workerd.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { Demo } from "../clients/node/demo.js";

describe("others on this computer", { timeout: 60_000 }, () => {
  let demo;
  before(async () => (demo = await Demo.start()));
  after(() => demo?.stop());

  test("see no secret in the arguments of a process", async () => {
    const variables = await readFile(join(demo.folder, "workerd.env"), "utf8");
    const { stdout } = await promisify(execFile)("ps", ["-A", "-ww", "-o", "args"]);
    assert.ok(stdout.includes(join(demo.folder, "workerd")), "the processes are to be seen");
    for (const name of ["COOKIE_ENCRYPTION_KEY", "MCP_SERVER_CLIENT_SECRET"]) {
      const [, value] = variables.match(new RegExp(`^${name}='(.{16,})'$`, "m"));
      assert.ok(!stdout.includes(value), name);
    }
  });

  test("can read neither its files nor its folders", async () => {
    const mode = async (name) => (await stat(join(demo.folder, name))).mode & 0o777;
    for (const name of ["workerd", "workerd-todo-api"]) assert.equal(await mode(name), 0o700, name);
    for (const name of ["cookie-encryption-key", "pingone.json", "workerd.env"]) assert.equal(await mode(name), 0o600, name);
  });
});
