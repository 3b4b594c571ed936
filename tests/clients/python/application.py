"""A client with the official Python SDK: its storage and its connections."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp.types import ElicitResult

from browser import authorize

REDIRECT_URI = "http://127.0.0.1:33418/callback"


class Wallet:
    """The registration and the tokens, as a client would write them to its disk."""

    def __init__(self, kept=None):
        self.kept = dict(kept or {})

    async def get_tokens(self):
        return OAuthToken.model_validate_json(self.kept["tokens"]) if "tokens" in self.kept else None

    async def set_tokens(self, tokens):
        self.kept["tokens"] = tokens.model_dump_json()

    async def get_client_info(self):
        return OAuthClientInformationFull.model_validate_json(self.kept["client"]) if "client" in self.kept else None

    async def set_client_info(self, client):
        self.kept["client"] = client.model_dump_json()


class Application:
    """A client that `user` uses. `opened` are the authorization URLs that it asked the user to open."""

    def __init__(self, name, demo, mode, user, wallet=None):
        self.name, self.demo, self.mode, self.user = name, demo, mode, user
        self.wallet = wallet or Wallet()
        self.opened, self.pressed, self.arrival = [], [], None
        self.provider = OAuthClientProvider(
            server_url=demo.mcp,
            client_metadata=OAuthClientMetadata(
                client_name=name, redirect_uris=[REDIRECT_URI], token_endpoint_auth_method="none"
            ),
            storage=self.wallet,
            redirect_handler=self._open,
            callback_handler=self._callback,
        )

    @asynccontextmanager
    async def connected(self, decide=None):
        """Connects, with a login if needed. With `decide`, the client can ask its user, and replies what it returns."""

        async def ask(_, question):
            return ElicitResult(action=decide(question.message), content={})

        async with httpx2.AsyncClient(auth=self.provider, timeout=30) as http_client:
            transport = streamable_http_client(self.demo.mcp, http_client=http_client)
            options = {"elicitation_callback": ask} if decide else {}
            async with Client(transport, mode=self.mode, cache=None, **options) as client:
                yield client

    def expire_access_token(self):
        """Makes the SDK treat its access token as expired."""
        self.provider.context.token_expiry_time = 1

    async def _open(self, url):
        self.opened.append(url)
        self.arrival, self.pressed = await asyncio.to_thread(authorize, url, REDIRECT_URI, self.user)

    async def _callback(self):
        parameters = {name: values[0] for name, values in parse_qs(urlsplit(self.arrival).query).items()}
        return AuthorizationCodeResult.model_validate(parameters)
