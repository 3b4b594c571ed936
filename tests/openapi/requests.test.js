// The requests of tools, beside those that swagger-client makes of the same document and the same values, and beside the
// expansions of RFC 6570, which the styles of paths are defined by.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import SwaggerClient from "swagger-client";
import { parseTemplate } from "url-template";

import { Demo, alice } from "../clients/node/demo.js";
import { logIn, register } from "../clients/node/login.js";
import { callTool } from "../clients/node/mcp.js";

/** Calls of each tool. */
const CALLS = 12;
/** Equal seeds make equal values. */
const SEED = Number(process.env.DEPUTY_SEED ?? 20261129);

// A generator of 32 bits (mulberry32).
let state = SEED;
function random(bound) {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % bound;
}
const one = (values) => values[random(values.length)];
const times = (count, make) => Array.from({ length: count }, make);

/** Characters of a value in each place. Deputy refuses separators in a path, and commas in the items of a header. */
const LETTERS = [..."aZ09-._~ ä日😀!$&'()*+,=:@\"<>[]{}|^`"];
const CHARACTERS = { path: LETTERS, query: [...LETTERS, ..."/\\?#;%"], header: [..."aZ09-._~!$&'()*+=:@\"<>[]{}|^`/?#;% "] };
const text = (place) => {
  const value = times(1 + random(8), () => one(CHARACTERS[place])).join("");
  // Not `.` or `..`, and no white space at the ends of a header.
  return `x${value}x`;
};
const KINDS = {
  string: { schema: { type: "string" }, make: text },
  integer: { schema: { type: "integer" }, make: () => random(2_000_000) - 1_000_000 },
  number: { schema: { type: "number" }, make: () => (random(2000) - 1000) / 8 + 0.0625 },
  boolean: { schema: { type: "boolean" }, make: () => random(2) === 1 },
  array: { schema: { type: "array", items: { type: "string" } }, make: (place) => times(1 + random(4), () => text(place)) },
  object: {
    schema: { type: "object", properties: { R: { type: "string" }, G: { type: "integer" }, B: { type: "boolean" } } },
    make: (place) => ({ B: random(2) === 1, G: random(300), R: text(place) }),
  },
};

/** The delimiters of items that are encoded like a character of an item, so that Deputy refuses such an item. */
const DELIMITERS = { "label true": ".", "spaceDelimited false": " ", "pipeDelimited false": "|" };
function withoutDelimiter(value, style, explode) {
  const delimiter = DELIMITERS[`${style} ${explode}`];
  if (delimiter === undefined || typeof value !== "object") return value;
  return JSON.parse(JSON.stringify(value).replaceAll(delimiter, "x"));
}

/** The parameters to try: each alone in an operation. */
const PARAMETERS = [];
const tryOut = (name, place, kinds, details) => {
  for (const kind of kinds) PARAMETERS.push({ name, in: place, kind, ...details });
};
const ALL = Object.keys(KINDS);
for (const explode of [false, true]) {
  for (const style of ["simple", "label", "matrix"]) tryOut("color", "path", ALL, { style, explode, required: true });
  tryOut("color", "query", ALL, { style: "form", explode });
  tryOut("filter[$a b]", "query", ALL.filter((kind) => kind !== "object"), { style: "form", explode });
  tryOut("X-Color", "header", ALL, { style: "simple", explode });
}
tryOut("color", "query", ["array"], { style: "spaceDelimited", explode: false });
tryOut("color", "query", ["array"], { style: "pipeDelimited", explode: false });
tryOut("color", "query", ["object"], { style: "deepObject", explode: true });
tryOut("color", "query", ALL, {});
tryOut("color", "path", ALL, { required: true });

function operation(index, more) {
  return { operationId: `operation${index}`, responses: { 200: { description: "The request." } }, ...more };
}
const paths = {};
PARAMETERS.forEach((parameter, index) => {
  const { kind, ...declared } = parameter;
  const path = parameter.in === "path" ? `/p${index}/{color}/end` : `/p${index}`;
  paths[path] = { get: operation(index, { parameters: [{ ...declared, schema: KINDS[kind].schema }] }) };
});
const FORM = {
  properties: {
    ...{ text: { type: "string" }, number: { type: "number" }, list: { type: "array", items: { type: "string" } } },
    ...{ joined: { type: "array", items: { type: "string" } }, object: { type: "object", properties: {} } },
  },
};
// The first is the default of the specification, which swagger-client does not know.
const ENCODING = { list: { style: "form", explode: true }, joined: { style: "form", explode: false } };
paths["/form"] = {
  post: operation("Form", {
    requestBody: {
      content: { "application/x-www-form-urlencoded": { schema: FORM, encoding: ENCODING } },
    },
  }),
};
paths["/json/{id}"] = {
  put: operation("Json", {
    parameters: [
      { name: "id", in: "path", required: true, schema: { type: "string" } },
      { name: "q", in: "query", schema: { type: "string" } },
      { name: "page", in: "query", content: { "application/json": { schema: { type: "object" } } } },
    ],
    requestBody: { content: { "application/json": { schema: { type: "object" } } } },
  }),
};
const SPEC = { openapi: "3.0.3", info: { title: "Echo", version: "1" }, "x-deputy-scopes": ["todo:read"], paths };

/**
 * A target in which characters that mean nothing are written in one way: everything but unreserved characters and delimiters
 * is percent-encoded. A delimiter stays as it is, so that it differs from its encoded form.
 */
function canonical(target) {
  const decoded = target.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    const characters = [...decodeURIComponent(encoded)];
    return characters.map((c) => (/[A-Za-z0-9._~-]/.test(c) ? c : encodeURIComponent(c).replace(/[!'()*]/g, hex))).join("");
  });
  return decoded.replace(/[^A-Za-z0-9._~%/?&=,;:@-]/gu, (c) => (/[!'()*]/.test(c) ? hex(c) : encodeURIComponent(c)));
}
const hex = (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`;

describe(`requests of tools (DEPUTY_SEED=${SEED})`, { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "deputy-openapi-"));
  let api, demo, token, url;

  before(async () => {
    // Responds with the request.
    api = createServer(async (request, response) => {
      const chunks = await request.toArray();
      response.setHeader("content-type", "application/json");
      const { method, url, headers } = request;
      response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
    });
    await new Promise((resolve) => api.listen(0, "127.0.0.1", resolve));
    url = `http://localhost:${api.address().port}`;
    writeFileSync(join(folder, "openapi.json"), JSON.stringify(SPEC));
    demo = await Demo.start({ apiUrl: url, scopes: "todo:read", env: { OPENAPI: join(folder, "openapi.json") } });
    ({ access_token: token } = await logIn(demo, await register(demo.at("/register")), alice));
  });
  after(async () => {
    await demo?.stop();
    api?.close();
    rmSync(folder, { recursive: true });
  });

  /** The request that a tool sends to the API. */
  async function sent(tool, values) {
    const result = await callTool(demo, token, tool, values);
    assert.ok(!result.isError, `${tool} ${JSON.stringify(values)}: ${result.content[0]?.text}`);
    return JSON.parse(result.content[0].text);
  }
  function expected(operationId, parameters, requestBody) {
    return SwaggerClient.buildRequest({ spec: SPEC, operationId, parameters, requestBody, server: url, contextUrl: url });
  }
  const target = (request) => canonical(request.url.replace(url, ""));

  PARAMETERS.forEach((parameter, index) => {
    const { name, kind, style = "default", explode = "default" } = parameter;
    test(`${parameter.in} ${name} ${style} ${explode} ${kind}`, async () => {
      const argument = name.replace(/[^A-Za-z0-9_.-]/g, "_").replace(/^_+|_+$/g, "");
      for (let call = 0; call < CALLS; call += 1) {
        const value = withoutDelimiter(KINDS[kind].make(parameter.in), style, explode);
        const request = await sent(`operation${index}`, { [argument]: value });
        assert.equal(request.method, "GET");
        if (parameter.in === "path") {
          const operator = { label: ".", matrix: ";" }[style] ?? "";
          const expansion = parseTemplate(`{${operator}color${explode === true ? "*" : ""}}`).expand({ color: value });
          assert.equal(canonical(request.url), canonical(`/p${index}/${expansion}/end`), JSON.stringify(value));
          continue;
        }
        const other = expected(`operation${index}`, { [name]: value });
        assert.equal(canonical(request.url), target(other), JSON.stringify(value));
        if (parameter.in === "header") assert.equal(request.headers["x-color"], String(other.headers["X-Color"]));
      }
    });
  });

  test("form", async () => {
    for (let call = 0; call < CALLS * 4; call += 1) {
      const list = () => times(1 + random(3), () => text("query"));
      const all = { text: text("query"), number: random(100) / 4, list: list(), joined: list(), object: { a: text("query"), b: [1] } };
      const body = Object.fromEntries(Object.entries(all).filter(() => random(3) > 0));
      const request = await sent("operationForm", { body });
      const other = expected("operationForm", {}, body);
      assert.equal(request.headers["content-type"], other.headers["Content-Type"] ?? "application/x-www-form-urlencoded");
      const pairs = (form) => [...new URLSearchParams(form)].sort();
      assert.deepEqual(pairs(request.body), pairs(other.body), JSON.stringify(body));
    }
  });

  test("JSON, and several parameters at once", async () => {
    for (let call = 0; call < CALLS * 4; call += 1) {
      const [id, q] = [text("path"), text("query")];
      const [page, body] = times(2, () => ({ [text("query")]: [text("query"), random(9), null, { a: random(2) === 1 }] }));
      const request = await sent("operationJson", { id, q, page, body });
      const other = expected("operationJson", { id, q, page }, body);
      assert.equal(request.method, "PUT");
      assert.equal(canonical(request.url), target(other));
      assert.deepEqual(JSON.parse(request.body), body);
      assert.equal(request.headers["content-type"], "application/json");
      assert.match(request.headers.authorization, /^Bearer /);
    }
  });
});
