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
  const run = (cwd, ...command) => spawnSync(process.execPath, command, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const create = (...options) => run(root, join(root, "package/create.js"), ...options);
  // As the script `tools` of the folder, with options behind `--`.
  const tools = (folder, ...options) => {
    const [node, ...command] = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).scripts.tools.split(" ");
    assert.equal(node, "node");
    return run(folder, ...command, ...options);
  };
  const written = (name, document) => {
    writeFileSync(join(root, name), JSON.stringify({ openapi: "3.1.0", info: { title: "Berths" }, ...document }));
    return name;
  };

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
    assert.ok(configuration.includes("https://my-invoices.<your subdomain>.workers.dev"), "the address has the name of the Worker");
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

  test("refuses options that would have no effect in its folder", () => {
    writeFileSync(join(project, "deputy", "old.js"), "");
    for (const options of [["--openapi", "missing.yaml"], ["--overlay", "x", "--api-url", "https://api.example"]]) {
      const { status, stdout, stderr } = create(project, ...options);
      assert.equal(status, 1, stdout);
      assert.ok(stderr.includes(options.filter((option) => option.startsWith("--")).join(" ")), stderr);
      assert.match(stderr, /would have no effect\. Change the files of the folder/);
    }
    assert.ok(existsSync(join(project, "deputy/old.js")), "the Worker was replaced");
  });

  test("prints the tools, checks them, and says how they differ", () => {
    const listed = tools(project);
    assert.equal(listed.status, 0, listed.stderr);
    assert.match(listed.stdout, /^your invoices: 7 tools\n/);
    assert.equal(JSON.parse(tools(project, "--json").stdout).tools.length, 7);
    assert.equal(tools(project, "--check").status, 0);
    assert.equal(tools(project, "--diff", "openapi.yaml").stdout, "no tool differs\n");
    const document = readFileSync(join(project, "openapi.yaml"), "utf8");
    writeFileSync(join(project, "old.yaml"), document.replaceAll("deleteInvoice", "removeInvoice"));
    assert.match(tools(project, "--diff", "old.yaml").stdout, /^- removeInvoice: [^]*\n\+ deleteInvoice \(invoice\.write\): /);
    rmSync(join(project, "old.yaml"));
    const overlay = readFileSync(join(project, "overlay.yaml"), "utf8");
    writeFileSync(join(project, "overlay.yaml"), readFileSync(join(root, "package/template/overlay.yaml")));
    const checked = tools(project, "--check");
    writeFileSync(join(project, "overlay.yaml"), overlay);
    assert.equal(checked.status, 1, checked.stdout);
    assert.match(checked.stderr, /^problems found: \d+\n$/);
    assert.match(checked.stdout, /^Invoices: 6 tools\n/);
  });

  test("refuses unknown options of the list of tools", () => {
    for (const [options, reason] of [
      [["--nonsense"], /Unknown option '--nonsense'/],
      [["third.yaml"], /^usage: /],
      [["--check", "--diff", "openapi.yaml"], /cannot be used together/],
      [["--diff", "missing.yaml"], /missing\.yaml cannot be read/],
    ]) {
      const { status, stdout, stderr } = tools(project, ...options);
      assert.equal(status, 2, stdout);
      assert.equal(stdout, "");
      assert.match(stderr, reason);
    }
  });

  test("refuses values that the Worker would refuse, and writes nothing", () => {
    const values = ["--public-url", "my.example", "--pingone-issuer", "https://auth.pingone.eu/x/as", "--api-url", "ftp://api.example"];
    const { status, stderr } = create("new", "--openapi", join(invoices, "openapi.yaml"), ...values);
    assert.equal(status, 1);
    assert.match(stderr, /--public-url: PUBLIC_URL: .*\n  --api-url: API_URL: /);
    assert.ok(!stderr.includes("PINGONE_ISSUER"), stderr);
    assert.ok(!existsSync(join(root, "new")));
  });

  test("prints every tool that cannot be served, and fails", () => {
    const document = written("bearer.json", { paths: { "/berths": { get: { operationId: "listBerths", responses: {} } } } });
    const { status, stdout, stderr } = create("bearer", "--openapi", document);
    assert.equal(status, 1);
    assert.match(stdout, /^Berths: 0 tools\n\n1 operation not served:\n  GET \/berths: /);
    assert.match(stderr, /no operation of the document can be served.*Decide with overlay\.yaml/);
    const listed = tools(join(root, "bearer"));
    assert.equal(listed.status, 0, listed.stderr);
    assert.ok(stdout.startsWith(listed.stdout));
    const unscoped = written("unscoped.json", { "x-deputy-scopes": [], paths: { "/berths": { get: { responses: {} } } } });
    assert.match(create("unscoped", "--openapi", unscoped).stdout, /Add API_SCOPES to the vars of wrangler\.jsonc: it is not set, and no tool/);
  });

  test("says in its README what it is", () => {
    assert.match(readFileSync(join(root, "package/README.md"), "utf8"), /^# create-deputy\n[^]*npm run tools/);
  });

  test("refuses a folder with other files, and a missing document", () => {
    writeFileSync(join(root, "latin1.yaml"), Buffer.from("openapi: 3.0.0\ninfo: { title: B\xfccher }\n", "latin1"));
    for (const [options, reason, code = 1] of [
      [["new", "another", "--openapi", join(invoices, "openapi.yaml")], /one folder is expected, and not also another/, 2],
      [["new", "--openapi", "latin1.yaml"], /latin1\.yaml is not UTF-8/],
      [["new", "--openapi", written("swagger.json", { openapi: undefined, swagger: "2.0" })], /swagger\.json cannot be used: it is Swagger 2\.0/],
      [[root, "--openapi", join(invoices, "openapi.yaml")], /is not empty/],
      [["new"], /--openapi names no file/],
      [["new", "--openapi", "missing.yaml"], /--openapi names no file/],
      [["new", "--opnapi", "x"], /Unknown option '--opnapi'/, 2],
    ]) {
      const { status, stderr } = create(...options);
      assert.equal(status, code);
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
