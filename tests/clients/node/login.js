// A login without an SDK: registration, authorization, token.

import { createHash, randomBytes } from "node:crypto";

import { authorize } from "./person.js";

export const REDIRECT_URI = "http://127.0.0.1:33418/callback";

/** Registers a public client and returns its id. `send` is what requests are made with. */
export async function register(url, send = fetch) {
  const answer = await send(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ redirect_uris: [REDIRECT_URI], token_endpoint_auth_method: "none" }),
  });
  if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
  return (await answer.json()).client_id;
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

/** What redeems the code of a login of `person` at `demo` with a client of this id, for all scopes or for `scope`. */
export async function redemption(demo, client_id, person, scope) {
  const code_verifier = randomBytes(32).toString("base64url");
  const url = demo.at(`/authorize?${authorizationRequest(client_id, code_verifier, scope)}`);
  const { arrival } = await authorize(url, REDIRECT_URI, person);
  const code = arrival.searchParams.get("code");
  return { grant_type: "authorization_code", client_id, code, code_verifier, redirect_uri: REDIRECT_URI };
}

/** The token response to such a login. */
export async function logIn(demo, client_id, person, scope) {
  const form = await redemption(demo, client_id, person, scope);
  const answer = await fetch(demo.at("/token"), { method: "POST", body: new URLSearchParams(form) });
  if (answer.status !== 200) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer.json();
}
