"""What must hold with the official Python SDK, in both eras of MCP."""

import json
import unittest
from urllib.parse import urlencode

from application import Application, Wallet
from demo import ALICE, API_IDENTIFIER, BOB, Demo

TOOLS = ["create_new_todo", "delete_todo", "get_my_todo_list", "toggle_todo_status", "who_am_i"]


class Behaviours:
    """The behaviours, whatever the era."""

    mode: str
    revision: str

    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.addClassCleanup(cls.demo.stop)

    def application(self, person=ALICE, wallet=None):
        return Application("Python SDK", self.demo, self.mode, person, wallet)

    # Sorts first: before it, nobody has consented.
    async def test_a_first_run_goes_from_401_through_approval_sign_on_and_consent_to_a_connection(self):
        self.assertEqual(self.call(None), 401)
        application = self.application()
        async with application.connected() as client:
            self.assertEqual(client.protocol_version, self.revision)
        self.assertEqual(application.pressed, ["approve", "SIGNON", "APPROVE"])
        self.assertEqual(len(application.asked), 1)

    async def test_stored_tokens_connect_without_a_page_after_a_restart_too(self):
        first = self.application()
        async with first.connected() as client:
            await add(client, "survives a restart")
        again = self.application(wallet=Wallet(first.wallet.kept))
        async with again.connected():
            pass
        self.demo.restart()
        async with again.connected() as client:
            self.assertIn("survives a restart", [todo["text"] for todo in await todos(client)])
        self.assertEqual(again.asked, [])

    async def test_the_list_of_tools_is_complete_with_schemas_and_annotations(self):
        async with self.application().connected() as client:
            tools = (await client.list_tools()).tools
        self.assertEqual(sorted(tool.name for tool in tools), TOOLS)
        for tool in tools:
            with self.subTest(tool.name):
                self.assertTrue(tool.title and tool.description)
                self.assertEqual(tool.output_schema["type"], "object")
                reads = tool.name in ("get_my_todo_list", "who_am_i")
                self.assertEqual(tool.annotations.read_only_hint, reads)
                self.assertEqual(tool.annotations.destructive_hint, tool.name == "delete_todo")

    async def test_who_am_i_shows_a_pingone_token_for_the_todo_api_and_who_the_person_is(self):
        async with self.application().connected() as client:
            result = await client.call_tool("who_am_i", {})
        who = result.structured_content
        self.assertEqual(who["user"]["username"], "alice")
        self.assertEqual(who["client"]["name"], "Python SDK")
        self.assertIn(API_IDENTIFIER, who["accessToken"]["audience"])
        self.assertIn(API_IDENTIFIER, result.content[0].text)

    async def test_todos_are_added_and_toggled_and_not_deleted_where_nobody_can_be_asked(self):
        async with self.application().connected() as client:
            identifier = await add(client, "buy oat milk")
            for completed in (True, False):
                await client.call_tool("toggle_todo_status", {"id": identifier, "completed": completed})
                todo = next(todo for todo in await todos(client) if todo["id"] == identifier)
                self.assertEqual(todo, {"id": identifier, "text": "buy oat milk", "completed": completed})
            refused = await client.call_tool("delete_todo", {"id": identifier})
            self.assertTrue(refused.is_error)
            self.assertIn("the person has to confirm", refused.content[0].text)
            self.assertIn(identifier, [todo["id"] for todo in await todos(client)])

    async def test_where_the_client_can_ask_a_todo_is_deleted_when_the_person_says_yes(self):
        asked = []

        def decide(message):
            asked.append(message)
            return "decline" if len(asked) == 1 else "accept"

        async with self.application().connected(decide) as client:
            identifier = await add(client, "ask me first")
            refused = await client.call_tool("delete_todo", {"id": identifier})
            self.assertTrue(refused.is_error)
            self.assertIn(identifier, [todo["id"] for todo in await todos(client)])
            await client.call_tool("delete_todo", {"id": identifier})
            self.assertNotIn(identifier, [todo["id"] for todo in await todos(client)])
        self.assertEqual(asked, ['Delete "ask me first"? This cannot be undone.'] * 2)

    async def test_another_person_sees_none_of_the_todos(self):
        async with self.application(ALICE).connected() as client:
            await add(client, "not for bob")
        async with self.application(BOB).connected() as client:
            self.assertEqual(await todos(client), [])

    async def test_an_expired_token_is_refreshed_without_a_page(self):
        application = self.application()
        async with application.connected() as client:
            before = await application.wallet.get_tokens()
            application.expire_access_token()
            await todos(client)
            after = await application.wallet.get_tokens()
        self.assertEqual(len(application.asked), 1)
        self.assertNotEqual(after.access_token, before.access_token)
        self.assertNotEqual(after.refresh_token, before.refresh_token)

    async def test_after_a_revocation_the_next_call_is_refused_and_the_person_is_asked_again(self):
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
        self.assertEqual(len(application.asked), 2)

    def call(self, token):
        """The status of a call without an SDK."""
        headers = {
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "mcp-protocol-version": "2025-11-25",
        }
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
        return self.demo.request("POST", "/mcp", body, headers)[0]


class HandshakeEra(Behaviours, unittest.IsolatedAsyncioTestCase):
    mode = "legacy"
    revision = "2025-11-25"


class StatelessEra(Behaviours, unittest.IsolatedAsyncioTestCase):
    mode = "auto"
    revision = "2026-07-28"


async def todos(client):
    return (await client.call_tool("get_my_todo_list", {})).structured_content["todos"]


async def add(client, text):
    """The id of a new todo."""
    result = await client.call_tool("create_new_todo", {"text": text})
    return result.structured_content["todos"][-1]["id"]
