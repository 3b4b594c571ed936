"""Libraries that discover the authorization server by OpenID Connect Discovery."""

import json
import os
import unittest
from unittest import mock

from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from mcp.shared.auth import OAuthMetadata

from demo import Demo


class Discovery(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.demo = Demo()
        cls.addClassCleanup(cls.demo.stop)

    def document(self):
        status, body = self.demo.request("GET", get_well_known_url(self.demo.issuer).removeprefix(self.demo.issuer))
        self.assertEqual(status, 200)
        return json.loads(body)

    def test_discovery_document_is_valid_for_authlib(self):
        metadata = OpenIDProviderMetadata(self.document())
        # The demo has no TLS.
        with mock.patch.dict(os.environ, AUTHLIB_INSECURE_TRANSPORT="1"):
            metadata.validate()
        self.assertEqual(metadata.issuer, self.demo.issuer)

    def test_python_sdk_reads_discovery_document(self):
        metadata = OAuthMetadata.model_validate(self.document())
        self.assertEqual(str(metadata.token_endpoint), f"{self.demo.issuer}/token")
