// The demo with the Worker of this folder, and a client to which a user logged in.

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

import { Demo, alice } from "../../clients/node/demo.js";
import { logIn, register } from "../../clients/node/login.js";

/** Starts the demo. Returns it with an access token. */
export async function startObserved() {
  const demo = await Demo.start({ env: { DEPUTY_WORKER_FOLDER: dirname(fileURLToPath(import.meta.url)) } });
  const client = await register(demo.at("/register"));
  const { access_token: token } = await logIn(demo, client, alice);
  return { demo, token };
}
