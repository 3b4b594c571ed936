// Programs that people use, from the first login to one after a revocation.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { cp, lstat, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Demo, alice } from "../node/demo.js";
import { Model } from "./model.js";
import { Person } from "./person.js";
import { programs, versionOf } from "./programs.js";

/** Seconds for which an access token is valid. Some programs refresh it in its last minute. */
const LIFETIME = 90;
const LIST = [["get_my_todo_list", {}]];

/** Parts of the names of the programs to try, with a space between them. */
const chosen = process.env.DEPUTY_CLIENTS?.split(" ");
const selected = programs.filter(({ name }) => chosen?.some((wanted) => name.includes(wanted)) ?? true);
if (selected.length === 0) throw new Error(`no program has a name with ${chosen.join(" or ")}`);

describe("programs", { concurrency: 3 }, () => {
  for (const program of selected) {
    test(`${program.name} ${versionOf(program)} stays connected`, { timeout: 900_000 }, (context) => tryOut(program, context));
  }
});

async function tryOut(program, context) {
  const { isAlone = false, keepsExpiry = true, keepsScopes = false, shows = /todo:write[^]*\/agents/ } = program;
  const demo = await Demo.start({ env: { ACCESS_TOKEN_LIFETIME: `${LIFETIME}`, LOG: "info" } });
  const [home, copy] = await Promise.all([1, 2].map(() => mkdtemp(join(tmpdir(), "deputy-program-"))));
  const [person, model] = [await Person.start(alice), await Model.start()];
  const env = { HOME: home, TERM: "xterm", LANG: "C.UTF-8", CODEX_HOME: join(home, ".codex"), ...(await person.environment(home)) };
  const place = { url: demo.mcp, home, env, person, model };
  const lists = async (where) => assert.match((await program.call(where, LIST))[0], /try every client/);
  let logins = 0;
  const connects = async (where = place) => {
    await lists(where);
    assert.equal(person.logins.length, logins, "a login that was not needed");
  };
  const logInAgain = async (byItself = true) => {
    const { length } = person.logins;
    await person.disconnectAll(demo.at("/agents"));
    if (byItself) await program.call(place, LIST).catch(() => {});
    if (person.logins.length === length) await program.logIn(place);
    await person.hasLoggedIn(length + 1);
  };
  try {
    await program.configure(place);
    await program.logIn(place);
    await person.hasLoggedIn(1);
    assert.deepEqual(person.logins[0].pressed, ["approve", "SIGNON", "APPROVE"], String(person.logins[0].error));
    context.diagnostic("logged in");

    await program.call(place, [["create_new_todo", { text: "try every client" }]]);
    logins = person.logins.length;
    await connects();

    const key = randomBytes(32).toString("base64");
    await demo.restart({ rotate: (former) => `${key},${former}` });
    await connects();
    context.diagnostic("connected after a restart with a new server key beside the former one");

    const refreshed = await refreshes(demo);
    const places = [place];
    if (keepsExpiry && !isAlone) places.push(await onAnotherComputer(place, copy));
    await sleep((LIFETIME + 2) * 1000);
    if (keepsExpiry) {
      await Promise.all(places.map((where) => connects(where)));
      assert.ok((await refreshes(demo)) > refreshed, "the tokens were not refreshed");
      context.diagnostic(places.length > 1 ? "refreshed its tokens, on two computers at once" : "refreshed its tokens");
    } else {
      logins += 1;
      await connects();
      context.diagnostic("logged in again when its access token had expired");
    }

    await demo.restart({ rotate: () => key });
    for (const where of places) await connects(where);
    context.diagnostic("connected after a restart without the former server key");

    await logInAgain();
    await lists(place);
    context.diagnostic("logged in again after the user had disconnected it");

    // The program gets fewer scopes than its next call needs.
    person.scope = "todo:read";
    await logInAgain();
    person.scope = undefined;
    logins = person.logins.length;
    const create = [["create_new_todo", { text: "with every scope" }]];
    const refused = await program.call(place, create).catch((error) => [error.message]);
    if (person.logins.length > logins) {
      context.diagnostic("asked the user for a further scope");
    } else {
      const told = refused.join("\n");
      context.diagnostic(`needs a further scope, and says: ${told.slice(0, 1500)}`);
      assert.match(told, shows);
      await logInAgain(!keepsScopes);
    }
    await program.call(place, create);
    assert.match((await program.call(place, LIST))[0], /with every scope/);
  } catch (error) {
    throw new Error(`${error.message}\n${demo.output.slice(-2000)}`, { cause: error });
  } finally {
    person.stop();
    model.stop();
    await demo.stop();
    for (const folder of [home, copy]) await rm(folder, { recursive: true, force: true });
  }
}

/** The same program on another computer of the user, who has copied the folder `home` with the login there, to `copy`. */
async function onAnotherComputer(place, copy) {
  // Sockets are left behind by programs that have ended.
  const filter = async (path) => !(await lstat(path)).isSocket();
  await cp(place.home, copy, { recursive: true, filter });
  return { ...place, env: { ...place.env, HOME: copy, CODEX_HOME: join(copy, ".codex") } };
}

/** The number of refreshes so far: audit events, in a file natively, and in the log on Workers. */
async function refreshes(demo) {
  const files = await readdir(demo.folder, { recursive: true });
  const logs = files.filter((file) => file.endsWith(".jsonl")).map((file) => readFile(join(demo.folder, file), "utf8"));
  return [demo.output, ...(await Promise.all(logs))].join("").split('"tokens_refreshed"').length - 1;
}
