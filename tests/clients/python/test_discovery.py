"""Libraries that look for an authorization server where OpenID Connect has it."""

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

    def test_authlib_finds_all_that_openid_connect_demands(self):
        metadata = OpenIDProviderMetadata(self.document())
        # The demo is on this computer, without TLS.
        with mock.patch.dict(os.environ, AUTHLIB_INSECURE_TRANSPORT="1"):
            metadata.validate()
        self.assertEqual(metadata.issuer, self.demo.issuer)

    def test_the_python_sdk_reads_the_document(self):
        metadata = OAuthMetadata.model_validate(self.document())
        self.assertEqual(str(metadata.token_endpoint), f"{self.demo.issuer}/token")
