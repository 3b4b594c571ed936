// Clients that discover the authorization server by OpenID Connect Discovery.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { OpenIdProviderDiscoveryMetadataSchema } from "@modelcontextprotocol/sdk/shared/auth.js";
import * as oidc from "openid-client";

import { Demo, alice } from "./demo.js";
import { authorize } from "./user.js";

describe("OpenID Connect Discovery", () => {
  let demo;
  before(async () => (demo = await Demo.start()));
  after(() => demo?.stop());

  const insecure = { execute: [oidc.allowInsecureRequests] };

  test("discovery document meets the schema of the TypeScript SDK", async () => {
    const document = await (await fetch(demo.at("/.well-known/openid-configuration"))).json();
    const read = OpenIdProviderDiscoveryMetadataSchema.parse(document);
    assert.equal(read.issuer, demo.at(""));
    assert.deepEqual(await (await fetch(read.jwks_uri)).json(), { keys: [] });
  });

  test("OpenID Connect client logs in and refreshes without ID token", async () => {
    const redirectUri = "http://127.0.0.1:33418/callback";
    const metadata = { redirect_uris: [redirectUri], client_name: "openid-client", token_endpoint_auth_method: "none" };
    const issuer = new URL(demo.at(""));
    const client = await oidc.dynamicClientRegistration(issuer, metadata, oidc.None(), insecure);

    const verifier = oidc.randomPKCECodeVerifier();
    const state = oidc.randomState();
    const scope = "openid email profile";
    const url = oidc.buildAuthorizationUrl(client, {
      redirect_uri: redirectUri,
      scope,
      state,
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    });
    const { arrival } = await authorize(url.href, redirectUri, alice);
    const checks = { pkceCodeVerifier: verifier, expectedState: state };
    const tokens = await oidc.authorizationCodeGrant(client, arrival, checks);
    assert.deepEqual([tokens.scope, tokens.id_token], ["todo:read todo:write", undefined]);

    const refreshed = await oidc.refreshTokenGrant(client, tokens.refresh_token, { scope });
    assert.equal(refreshed.scope, "todo:read todo:write");
  });
});
