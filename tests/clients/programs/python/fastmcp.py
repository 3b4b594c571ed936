"""FastMCP's client: fastmcp.py URL CALLS. Logs in, makes calls, and prints their results as JSON."""

import asyncio
import json
import sys
from pathlib import Path

# The folder of this file has the library's name.
sys.path.pop(0)

from fastmcp import Client
from fastmcp.client.auth import OAuth
from key_value.aio.stores.filetree import (
    FileTreeStore,
    FileTreeV1CollectionSanitizationStrategy,
    FileTreeV1KeySanitizationStrategy,
)


async def main(url, calls):
    folder = Path.home() / "tokens"
    folder.mkdir(exist_ok=True)
    store = FileTreeStore(
        data_directory=folder,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(folder),
    )
    async with Client(url, auth=OAuth(token_storage=store)) as client:
        results = [await client.call_tool(name, arguments) for name, arguments in calls]
    print(json.dumps([json.dumps(result.structured_content) for result in results]))


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
