// The demo on workerd: its first todos, and its secrets, which other users of this computer cannot read.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import { Demo, alice, repository } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";
import { callTool } from "../clients/node/mcp.js";

describe("demo on workerd", { timeout: 60_000 }, () => {
  let demo;
  before(async () => (demo = await Demo.start({ empty: false, env: { BRAND_NAME: "Todos of this test" } })));
  after(() => demo?.stop());

  test("user begins with todos, and deleted ones stay deleted", async () => {
    const { access_token } = await logIn(demo, await register(demo.at("/register")), alice);
    const list = async () => (await callTool(demo, access_token, "get_my_todo_list")).structuredContent.todos;
    const [first, ...others] = await list();
    assert.deepEqual([first.text, first.completed, others.length], ["Start Deputy's demo", true, 2]);
    // The demo shows PingOne's token, and the API does not ask before it deletes.
    const { accessToken } = (await callTool(demo, access_token, "who_am_i")).structuredContent;
    const headers = { authorization: `Bearer ${accessToken.raw}` };
    for (const { id } of [first, ...others]) {
      const response = await fetch(`http://localhost:${demo.todoApiPort}/api/todos/${id}`, { method: "DELETE", headers });
      assert.equal(response.status, 200);
    }
    assert.deepEqual(await list(), []);
  });

  test("environment changes a setting", async () => {
    assert.match(await (await fetch(demo.at("/"))).text(), />Todos of this test<\/p>/);
  });

  test("health check tells the version, the commit and the build", async () => {
    const health = await (await fetch(demo.at("/healthz"))).json();
    const { stdout } = await promisify(execFile)(join(repository, "target/debug/deputy"), ["--version"]);
    const [, version, commit] = stdout.match(/^deputy (\S+) \(commit ([0-9a-f]+|unknown)/);
    assert.deepEqual(health, {
      status: "ok",
      version,
      commit: commit === "unknown" ? null : commit,
      build: "release wasm32-unknown-unknown",
    });
  });

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
