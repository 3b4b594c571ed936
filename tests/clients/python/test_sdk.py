"""Tests with the official Python SDK, for the two kinds of MCP revisions."""

import json
import unittest
from urllib.parse import urlencode

from application import Application, Wallet
from demo import ALICE, API_IDENTIFIER, BOB, Demo

TOOLS = ["create_new_todo", "delete_todo", "get_my_todo_list", "toggle_todo_status", "who_am_i"]


class Behaviors:
    """The tests, which are the same for every revision."""

    mode: str
    revision: str

    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.addClassCleanup(cls.demo.stop)

    def application(self, user=ALICE, wallet=None):
        return Application("Python SDK", self.demo, self.mode, user, wallet)

    # The name sorts first, so that no user has consented before.
    async def test_a_new_client_connects_after_approval_and_consent(self):
        self.assertEqual(self.call(None), 401)
        application = self.application()
        async with application.connected() as client:
            self.assertEqual(client.protocol_version, self.revision)
        self.assertEqual(application.pressed, ["approve", "SIGNON", "APPROVE"])
        self.assertEqual(len(application.opened), 1)

    async def test_stored_tokens_connect_without_login_after_restart(self):
        first = self.application()
        async with first.connected() as client:
            await add(client, "survives a restart")
        again = self.application(wallet=Wallet(first.wallet.kept))
        async with again.connected():
            pass
        self.demo.restart()
        async with again.connected() as client:
            self.assertIn("survives a restart", [todo["text"] for todo in await todos(client)])
        self.assertEqual(again.opened, [])

    async def test_every_tool_has_schemas_and_annotations(self):
        async with self.application().connected() as client:
            tools = (await client.list_tools()).tools
        self.assertEqual(sorted(tool.name for tool in tools), TOOLS)
        for tool in tools:
            with self.subTest(tool.name):
                self.assertTrue(tool.title and tool.description)
                self.assertEqual(tool.output_schema["type"], "object")
                read_only = tool.name in ("get_my_todo_list", "who_am_i")
                self.assertEqual(tool.annotations.read_only_hint, read_only)
                self.assertEqual(tool.annotations.destructive_hint, tool.name == "delete_todo")

    async def test_who_am_i_shows_user_and_pingone_token_for_api(self):
        async with self.application().connected() as client:
            result = await client.call_tool("who_am_i", {})
        who = result.structured_content
        self.assertEqual(who["user"]["username"], "alice")
        self.assertEqual(who["client"]["name"], "Python SDK")
        self.assertIn(API_IDENTIFIER, who["accessToken"]["audience"])
        self.assertIn(API_IDENTIFIER, result.content[0].text)

    async def test_client_that_cannot_ask_its_user_deletes_no_todo(self):
        async with self.application().connected() as client:
            todo_id = await add(client, "buy oat milk")
            for completed in (True, False):
                await client.call_tool("toggle_todo_status", {"id": todo_id, "completed": completed})
                todo = next(todo for todo in await todos(client) if todo["id"] == todo_id)
                self.assertEqual(todo, {"id": todo_id, "text": "buy oat milk", "completed": completed})
            refused = await client.call_tool("delete_todo", {"id": todo_id})
            self.assertTrue(refused.is_error)
            self.assertIn("the user has to confirm", refused.content[0].text)
            self.assertIn(todo_id, [todo["id"] for todo in await todos(client)])

    async def test_client_that_can_ask_deletes_todo_once_user_confirms(self):
        questions = []

        def decide(message):
            questions.append(message)
            return "decline" if len(questions) == 1 else "accept"

        async with self.application().connected(decide) as client:
            todo_id = await add(client, "ask me first")
            refused = await client.call_tool("delete_todo", {"id": todo_id})
            self.assertTrue(refused.is_error)
            self.assertIn(todo_id, [todo["id"] for todo in await todos(client)])
            await client.call_tool("delete_todo", {"id": todo_id})
            self.assertNotIn(todo_id, [todo["id"] for todo in await todos(client)])
        self.assertEqual(questions, ['Delete "ask me first"? This cannot be undone.'] * 2)

    async def test_other_user_sees_none_of_the_todos(self):
        async with self.application(ALICE).connected() as client:
            await add(client, "not for bob")
        async with self.application(BOB).connected() as client:
            self.assertEqual(await todos(client), [])

    async def test_expired_token_is_refreshed_without_login(self):
        application = self.application()
        async with application.connected() as client:
            before = await application.wallet.get_tokens()
            application.expire_access_token()
            await todos(client)
            after = await application.wallet.get_tokens()
        self.assertEqual(len(application.opened), 1)
        self.assertNotEqual(after.access_token, before.access_token)
        self.assertNotEqual(after.refresh_token, before.refresh_token)

    async def test_revoked_token_is_rejected_and_client_starts_login(self):
        application = self.application()
        async with application.connected() as client:
            tokens = await application.wallet.get_tokens()
            self.assertEqual(self.call(tokens.access_token), 200)
            registered = await application.wallet.get_client_info()
            form = urlencode({"token": tokens.refresh_token, "client_id": registered.client_id})
            headers = {"content-type": "application/x-www-form-urlencoded"}
            self.assertEqual(self.demo.request("POST", "/revoke", form, headers)[0], 200)
            self.assertEqual(self.call(tokens.access_token), 401)
            await todos(client)
        self.assertEqual(len(application.opened), 2)

    def call(self, token):
        """The status of `tools/list`, sent without an SDK."""
        headers = {
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "mcp-protocol-version": "2025-11-25",
        }
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
        return self.demo.request("POST", "/mcp", body, headers)[0]


class InitializeRevision(Behaviors, unittest.IsolatedAsyncioTestCase):
    mode = "legacy"
    revision = "2025-11-25"


class StatelessRevision(Behaviors, unittest.IsolatedAsyncioTestCase):
    mode = "auto"
    revision = "2026-07-28"


async def todos(client):
    return (await client.call_tool("get_my_todo_list", {})).structured_content["todos"]


async def add(client, text):
    """Creates a todo and returns its id."""
    result = await client.call_tool("create_new_todo", {"text": text})
    return result.structured_content["todos"][-1]["id"]
