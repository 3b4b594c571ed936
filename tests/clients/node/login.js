// A login without an SDK: registration, authorization and token request.

import { createHash, randomBytes } from "node:crypto";

import { authorize } from "./user.js";

export const REDIRECT_URI = "http://127.0.0.1:33418/callback";

/** Registers a public client with the function `send`, and returns its id. */
export async function register(url, send = fetch) {
  const response = await send(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "none" }),
  });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()).client_id;
}

/** The query of an authorization request, for all scopes or for `scope`. */
export function authorizationRequest(client_id, code_verifier, scope) {
  return new URLSearchParams({
    response_type: "code",
    client_id,
    redirect_uri: REDIRECT_URI,
    code_challenge: createHash("sha256").update(code_verifier).digest("base64url"),
    code_challenge_method: "S256",
    ...(scope && { scope }),
  });
}

/** Logs `user` in, for all scopes or for `scope`, and returns the token request that redeems the code. */
export async function redemption(demo, client_id, user, scope) {
  const code_verifier = randomBytes(32).toString("base64url");
  const url = demo.at(`/authorize?${authorizationRequest(client_id, code_verifier, scope)}`);
  const { arrival } = await authorize(url, REDIRECT_URI, user);
  const code = arrival.searchParams.get("code");
  return { grant_type: "authorization_code", client_id, code, code_verifier, redirect_uri: REDIRECT_URI };
}

/** Logs `user` in and returns the token response. */
export async function logIn(demo, client_id, user, scope) {
  const form = await redemption(demo, client_id, user, scope);
  const response = await fetch(demo.at("/token"), { method: "POST", body: new URLSearchParams(form) });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}
