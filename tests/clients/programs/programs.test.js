// Programs that people use, from the first login to one after a revocation.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { Demo, alice } from "../node/demo.js";
import { Model } from "./model.js";
import { Person } from "./person.js";
import { programs, versionOf } from "./programs.js";

/** Seconds for which an access token is valid. */
const LIFETIME = 60;
const LIST = [["get_my_todo_list", {}]];

/** Parts of the names of the programs to try, with a space between them. */
const chosen = process.env.DEPUTY_CLIENTS?.split(" ");
const selected = programs.filter(({ name }) => chosen?.some((wanted) => name.includes(wanted)) ?? true);
if (selected.length === 0) throw new Error(`no program has a name with ${chosen.join(" or ")}`);

describe("programs", { concurrency: 2 }, () => {
  for (const program of selected) {
    test(`${program.name} ${versionOf(program)} stays connected`, { timeout: 900_000 }, (context) => tryOut(program, context));
  }
});

async function tryOut(program, context) {
  const demo = await Demo.start({ env: { ACCESS_TOKEN_LIFETIME: `${LIFETIME}`, LOG: "info" } });
  const home = await mkdtemp(join(tmpdir(), "deputy-program-"));
  const [person, model] = [await Person.start(alice), await Model.start()];
  const env = { HOME: home, TERM: "xterm", LANG: "C.UTF-8", CODEX_HOME: join(home, ".codex"), ...(await person.environment(home)) };
  const place = { url: demo.mcp, home, env, person, model };
  const lists = async () => assert.match((await program.call(place, LIST))[0], /try every client/);
  const logInAgain = async () => {
    const { length } = person.logins;
    await person.disconnectAll(demo.at("/agents"));
    await program.call(place, LIST).catch(() => {});
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
    await lists();
    let logins = person.logins.length;

    const refreshed = await refreshes(demo);
    await sleep((LIFETIME + 2) * 1000);
    await lists();
    if (program.refreshes ?? true) {
      assert.ok((await refreshes(demo)) > refreshed, "the tokens were not refreshed");
      context.diagnostic("refreshed its tokens");
    } else {
      assert.equal(person.logins.length, (logins += 1));
      context.diagnostic("logged in again when its access token had expired");
    }

    await demo.restart();
    await lists();
    assert.equal(person.logins.length, logins, "a login that was not needed");
    context.diagnostic("connected after a restart");

    await logInAgain();
    await lists();
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
      if (program.showsRefusals ?? true) assert.match(told, /todo:write[^]*\/agents/);
      await logInAgain();
    }
    await program.call(place, create);
    assert.match((await program.call(place, LIST))[0], /with every scope/);
  } catch (error) {
    throw new Error(`${error.message}\n${demo.output.slice(-2000)}`, { cause: error });
  } finally {
    person.stop();
    model.stop();
    await demo.stop();
    await rm(home, { recursive: true, force: true });
  }
}

/** The number of refreshes so far: audit events, in a file natively, and in the log on Workers. */
async function refreshes(demo) {
  const files = await readdir(demo.folder, { recursive: true });
  const logs = files.filter((file) => file.endsWith(".jsonl")).map((file) => readFile(join(demo.folder, file), "utf8"));
  return [demo.output, ...(await Promise.all(logs))].join("").split('"tokens_refreshed"').length - 1;
}
