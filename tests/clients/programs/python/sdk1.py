"""The official Python SDK 1.x: sdk1.py URL CALLS. Logs in, makes calls, and prints their results as JSON."""

import asyncio
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken


class Wallet:
    """The registration and the tokens, each in a file."""

    async def get_tokens(self):
        return self.read("tokens", OAuthToken)

    async def set_tokens(self, tokens):
        self.write("tokens", tokens)

    async def get_client_info(self):
        return self.read("client", OAuthClientInformationFull)

    async def set_client_info(self, client):
        self.write("client", client)

    @staticmethod
    def read(name, kind):
        file = Path.home() / name
        return kind.model_validate_json(file.read_text()) if file.exists() else None

    @staticmethod
    def write(name, value):
        (Path.home() / name).write_text(value.model_dump_json())


class Callback(BaseHTTPRequestHandler):
    """The page to which the browser returns."""

    def do_GET(self):
        self.server.query = parse_qs(urlsplit(self.path).query)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


async def main(url, calls):
    server = HTTPServer(("127.0.0.1", int(os.environ["CALLBACK_PORT"])), Callback)

    async def open_browser(authorization_url):
        subprocess.run([os.environ["BROWSER"], authorization_url], check=True)

    async def callback():
        await asyncio.to_thread(server.handle_request)
        return server.query["code"][0], server.query["state"][0]

    provider = OAuthClientProvider(
        server_url=url,
        client_metadata=OAuthClientMetadata(
            client_name="Python SDK 1",
            redirect_uris=[f"http://127.0.0.1:{server.server_port}/callback"],
            token_endpoint_auth_method="none",
        ),
        storage=Wallet(),
        redirect_handler=open_browser,
        callback_handler=callback,
    )
    async with streamablehttp_client(url, auth=provider) as (read, write, _):
        async with ClientSession(read, write) as session:
            await session.initialize()
            results = [await session.call_tool(name, arguments) for name, arguments in calls]
    print(json.dumps([json.dumps(result.structuredContent) for result in results]))


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
