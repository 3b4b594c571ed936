// The npm package, from its tarball to a Deputy on workerd, in an empty folder and without Rust.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";

import { Demo, alice, bob, repository } from "../clients/node/demo.js";
import { REDIRECT_URI, authorizationRequest, logIn, register } from "../clients/node/login.js";
import { callTool, send } from "../clients/node/mcp.js";

const packages = join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), "package");
const invoices = join(repository, "examples/invoices");

describe("create-deputy", () => {
  const root = mkdtempSync(join(tmpdir(), "create-deputy-"));
  const project = join(root, "My Invoices");
  // Neither cargo nor npm is here.
  const env = { PATH: dirname(process.execPath) };
  const create = (...options) =>
    spawnSync(process.execPath, [join(root, "package/create.js"), ...options], { cwd: root, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

  before(() => {
    const tarball = readdirSync(packages).find((name) => /^create-deputy-.*\.tgz$/.test(name));
    assert.ok(tarball, `there is no package in ${packages}; make it with: ./dev package npm`);
    assert.equal(spawnSync("tar", ["-xzf", join(packages, tarball), "-C", root]).status, 0);
  });
  after(() => rmSync(root, { recursive: true }));

  test("makes a folder from a document, and prints its tools", () => {
    const document = ["--openapi", join(invoices, "openapi.yaml"), "--overlay", join(invoices, "overlay.yaml")];
    const values = ["--pingone-issuer", "https://auth.pingone.eu/$&/as", "--api-url", "https://api.example/v1"];
    const { status, stdout, stderr } = create(project, ...document, ...values);
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^your invoices: 7 tools\n[^]*sendInvoice \(POST \/invoices\/\{id\}\/send; invoice\.write; asks the user first\)/);
    assert.match(stdout, /Fill in wrangler\.jsonc: PUBLIC_URL, PINGONE_CLIENT_ID, PINGONE_DV_POLICY_ID, API_IDENTIFIER\./);
    const configuration = readFileSync(join(project, "wrangler.jsonc"), "utf8");
    for (const line of ['"name": "my-invoices"', '"main": "index.js"', '"PINGONE_ISSUER": "https://auth.pingone.eu/$&/as"', '"PUBLIC_URL": "<'])
      assert.ok(configuration.includes(line), line);
    assert.ok(!/"build"|hosts\/cloudflare/.test(configuration));
    assert.equal(JSON.parse(readFileSync(join(project, "package.json"), "utf8")).name, "my-invoices");
    assert.deepEqual(readdirSync(project).sort(), [
      ".gitignore", "deputy", "index.js", "openapi.yaml", "overlay.yaml", "package.json", "wrangler.jsonc",
    ]);
  });

  test("replaces the Worker in a folder that it made, and nothing else", () => {
    writeFileSync(join(project, "wrangler.jsonc.mine"), "");
    writeFileSync(join(project, "deputy", "old.js"), "");
    const before = readFileSync(join(project, "wrangler.jsonc"), "utf8");
    assert.equal(create(project).status, 0);
    assert.equal(readFileSync(join(project, "wrangler.jsonc"), "utf8"), before);
    assert.ok(existsSync(join(project, "wrangler.jsonc.mine")) && existsSync(join(project, "deputy/module.js")));
    assert.ok(!existsSync(join(project, "deputy/old.js")));
  });

  test("refuses a folder with other files, and a missing document", () => {
    for (const [options, reason] of [
      [[root, "--openapi", join(invoices, "openapi.yaml")], /is not empty/],
      [["new"], /--openapi names no file/],
      [["new", "--openapi", "missing.yaml"], /--openapi names no file/],
      [["new", "--opnapi", "x"], /Unknown option '--opnapi'/],
    ]) {
      const { status, stderr } = create(...options);
      assert.equal(status, 1);
      assert.match(stderr, reason);
    }
    assert.ok(!existsSync(join(root, "new")));
  });

  test("serves the document on workerd", async () => {
    // A variable may be JSON.
    const configuration = readFileSync(join(project, "wrangler.jsonc"), "utf8");
    const clients = [{ client_id: "client-a", client_name: "Configured client", redirect_uris: [REDIRECT_URI] }];
    const more = `"vars": {\n    "ACCESS_TOKEN_LIFETIME": 600,\n    "CLIENTS": ${JSON.stringify(clients)},`;
    writeFileSync(join(project, "wrangler.jsonc"), configuration.replace('"vars": {', more));
    const demo = await Demo.start({
      deputy: join(repository, "hosts/cloudflare/demo.js"),
      apiPath: "/v1",
      scopes: "invoice.read invoice.write",
      env: { DEPUTY_WORKER_FOLDER: project },
    });
    try {
      const client = await register(demo.at("/register"));
      const { access_token: ofAlice, expires_in } = await logIn(demo, client, alice);
      assert.equal(expires_in, 600);
      const lines = [{ text: "Advice", cents: 5000 }];
      const created = await callTool(demo, ofAlice, "createInvoice", { body: { customer: "Ada", lines } });
      assert.equal(created.structuredContent.customer, "Ada");
      const { access_token: ofBob } = await logIn(demo, client, bob, "invoice.read");
      assert.deepEqual((await callTool(demo, ofBob, "listInvoices")).structuredContent.items, []);
      const params = { name: "createInvoice", arguments: { body: { customer: "Bob", lines } } };
      const refused = await send(demo, ofBob, { id: 1, method: "tools/call", params });
      assert.equal(refused.status, 403);
      assert.match(refused.headers.get("www-authenticate"), /scope="invoice\.read invoice\.write"/);
      assert.deepEqual((await callTool(demo, ofAlice, "listCustomers")).content[0].text, '["Ada"]');
      const asked = await fetch(demo.at(`/authorize?${authorizationRequest("client-a", "x".repeat(43))}`));
      assert.match(await asked.text(), /Configured client/);
    } finally {
      await demo.stop();
    }
  });
});
