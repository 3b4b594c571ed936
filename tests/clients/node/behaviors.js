// Tests that run with every release of the TypeScript SDK.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { API_IDENTIFIER, Demo, alice, bob } from "./demo.js";
import { authorize } from "./user.js";
import { Wallet } from "./wallet.js";

export const TOOLS = ["create_new_todo", "delete_todo", "get_my_todo_list", "toggle_todo_status", "who_am_i"];

/**
 * Tests of one SDK. `connect(url, wallet, decide)` returns a connected client or throws the SDK's `UnauthorizedError`. With
 * `decide`, the client can ask its user, and replies what `decide(message)` returns. `finish(url, wallet, parameters)`
 * redeems the code. `revision(client)` is the MCP revision in use.
 */
export function behaviors(title, { connect, finish, revision, UnauthorizedError, expectedRevision }) {
  describe(title, () => {
    let demo;
    before(async () => (demo = await Demo.start()));
    after(() => demo?.stop());

    /** Logs a user in with a newly registered client. */
    async function loggedIn(user, decide) {
      const wallet = new Wallet(title);
      await assert.rejects(connect(demo.mcp, wallet), UnauthorizedError);
      const { arrival, pressed } = await authorize(wallet.opened[0], wallet.redirectUrl, user);
      await finish(demo.mcp, wallet, wallet.received(arrival));
      return { client: await connect(demo.mcp, wallet, decide), wallet, pressed, arrival };
    }

    test("new client connects after approval, sign-on and consent", async () => {
      const refused = await call(demo, undefined);
      assert.equal(refused.status, 401);
      const metadata = demo.at("/.well-known/oauth-protected-resource/mcp");
      const challenge = `Bearer resource_metadata="${metadata}", scope="todo:read todo:write"`;
      assert.equal(refused.headers.get("www-authenticate"), challenge);

      const { client, wallet, pressed, arrival } = await loggedIn(alice);
      assert.deepEqual(pressed, ["approve", "SIGNON", "APPROVE"]);
      assert.equal(arrival.searchParams.get("iss"), demo.at(""));
      assert.equal(wallet.tokens().token_type, "Bearer");
      assert.equal(revision(client), expectedRevision);
      await client.close();
    });

    test("stored tokens connect without a login after a restart", async () => {
      const first = await loggedIn(alice);
      await add(first.client, "survives a restart");
      await first.client.close();

      const again = new Wallet(title, first.wallet.toString());
      await (await connect(demo.mcp, again)).close();
      await demo.restart();
      const client = await connect(demo.mcp, again);
      assert.ok((await todos(client)).some(({ text }) => text === "survives a restart"));
      assert.deepEqual(again.opened, []);
      await client.close();
    });

    test("every tool has schemas and annotations", async () => {
      const { client } = await loggedIn(alice);
      const { tools } = await client.listTools();
      assert.deepEqual(tools.map(({ name }) => name).sort(), TOOLS);
      for (const tool of tools) {
        assert.ok(tool.title && tool.description, tool.name);
        assert.equal(tool.inputSchema.type, "object", tool.name);
        assert.equal(tool.outputSchema.type, "object", tool.name);
        const readOnly = ["get_my_todo_list", "who_am_i"].includes(tool.name);
        assert.equal(tool.annotations.readOnlyHint, readOnly, tool.name);
        assert.equal(tool.annotations.destructiveHint, tool.name === "delete_todo", tool.name);
      }
      await client.close();
    });

    test("who_am_i shows the user and PingOne's token for the API", async () => {
      const { client, wallet } = await loggedIn(alice);
      const result = await client.callTool({ name: "who_am_i", arguments: {} });
      const { user, client: self, accessToken } = result.structuredContent;
      assert.equal(user.username, "alice");
      assert.equal(self.name, title);
      assert.ok(accessToken.audience.includes(API_IDENTIFIER), accessToken.audience.join());
      const ofTheApi = accessToken.scopes.filter((scope) => scope.startsWith("todo:"));
      assert.deepEqual(ofTheApi.sort(), ["todo:read", "todo:write"]);
      // The demo shows the token itself, which is not the client's token.
      const claims = JSON.parse(Buffer.from(accessToken.raw.split(".")[1], "base64url"));
      assert.ok([claims.aud].flat().includes(API_IDENTIFIER), JSON.stringify(claims));
      assert.notEqual(accessToken.raw, wallet.tokens().access_token);
      assert.match(result.content[0].text, /alice|Alice/);
      await client.close();
    });

    test("client that cannot ask its user deletes no todo", async () => {
      const { client } = await loggedIn(alice);
      const { id } = await add(client, "buy oat milk");
      const done = (list) => list.find((todo) => todo.id === id)?.completed;
      assert.equal(done(await todos(client)), false);
      await client.callTool({ name: "toggle_todo_status", arguments: { id, completed: true } });
      assert.equal(done(await todos(client)), true);
      await client.callTool({ name: "toggle_todo_status", arguments: { id, completed: false } });
      assert.equal(done(await todos(client)), false);
      const refused = await client.callTool({ name: "delete_todo", arguments: { id } });
      assert.equal(refused.isError, true);
      assert.match(refused.content[0].text, /^Nothing was deleted: the user has to confirm/);
      assert.equal(done(await todos(client)), false);
      await client.close();
    });

    test("client that can ask deletes a todo once the user confirms", async () => {
      const questions = [];
      const decide = (message) => (questions.push(message) === 1 ? "decline" : "accept");
      const { client } = await loggedIn(alice, decide);
      const { id } = await add(client, "ask me first");
      const refused = await client.callTool({ name: "delete_todo", arguments: { id } });
      assert.equal(refused.isError, true);
      assert.ok((await todos(client)).some((todo) => todo.id === id));
      const deleted = await client.callTool({ name: "delete_todo", arguments: { id } });
      assert.ok(!deleted.structuredContent.todos.some((todo) => todo.id === id));
      const again = await client.callTool({ name: "delete_todo", arguments: { id } });
      assert.equal(again.isError, true);
      const question = 'Delete "ask me first"? This cannot be undone.';
      assert.deepEqual(questions, [question, question]);
      await client.close();
    });

    test("todo list is a resource and part of the prompt", async () => {
      const { client } = await loggedIn(alice);
      await add(client, "read me");
      assert.deepEqual((await client.listResources()).resources.map(({ uri }) => uri), ["todo://list"]);
      const { contents } = await client.readResource({ uri: "todo://list" });
      assert.ok(JSON.parse(contents[0].text).todos.some(({ text }) => text === "read me"));
      assert.deepEqual((await client.listPrompts()).prompts.map(({ name }) => name), ["plan_my_day"]);
      const { messages } = await client.getPrompt({ name: "plan_my_day", arguments: { hours: "4" } });
      assert.equal(messages[1].content.resource.text, contents[0].text);
      await client.close();
    });

    test("another user sees none of the todos", async () => {
      const ofAlice = await loggedIn(alice);
      await add(ofAlice.client, "not for bob");
      const ofBob = await loggedIn(bob);
      assert.deepEqual(await todos(ofBob.client), []);
      await Promise.all([ofAlice.client.close(), ofBob.client.close()]);
    });

    test("rejected access token is refreshed without a login", async () => {
      const { client, wallet } = await loggedIn(alice);
      const before = { ...wallet.tokens() };
      wallet.spoilAccessToken();
      await todos(client);
      assert.equal(wallet.opened.length, 1);
      assert.notEqual(wallet.tokens().access_token, before.access_token);
      assert.notEqual(wallet.tokens().refresh_token, before.refresh_token);
      await client.close();
    });

    test("revoked token is rejected and the client starts a login", async () => {
      const { client, wallet } = await loggedIn(alice);
      const { access_token: token, refresh_token } = wallet.tokens();
      assert.equal((await call(demo, token)).status, 200);
      const metadata = await (await fetch(demo.at("/.well-known/oauth-authorization-server"))).json();
      const body = new URLSearchParams({ token: refresh_token, client_id: wallet.clientInformation().client_id });
      assert.equal((await fetch(metadata.revocation_endpoint, { method: "POST", body })).status, 200);
      assert.equal((await call(demo, token)).status, 401);
      await assert.rejects(todos(client), UnauthorizedError);
      assert.equal(wallet.opened.length, 2);
      await client.close();
    });
  });
}

async function todos(client) {
  const result = await client.callTool({ name: "get_my_todo_list", arguments: {} });
  return result.structuredContent.todos;
}

async function add(client, text) {
  const result = await client.callTool({ name: "create_new_todo", arguments: { text } });
  return result.structuredContent.todos.findLast((todo) => todo.text === text);
}

/** Sends `tools/list` without an SDK. */
function call(demo, token) {
  return fetch(demo.mcp, {
    method: "POST",
    headers: {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "mcp-protocol-version": "2025-11-25",
      ...(token && { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }),
  });
}
