// The Durable Objects of a local workerd, as they lie on its disk.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** The files of all objects that the Worker called `worker` has ever woken, with data in the folder `data`. */
export function objects(data, worker) {
  const folder = join(data, "v3/do", `${worker}-RecordObject`);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
    .map((name) => join(folder, name));
}

/** Those of them that keep anything: a table of ours, or an alarm. */
export function living(data, worker) {
  return objects(data, worker).filter((file) => {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      // workerd may be writing.
      database.exec("PRAGMA busy_timeout = 10000");
      const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
      // The runtime's own note of an object's name, which there is on this computer only.
      return tables.some(({ name }) => name !== "__miniflare_do_name");
    } finally {
      database.close();
    }
  });
}

/** Which of the bytes `secrets` stand in the files of the object whose file is `file`, the ones beside it included. */
export function kept(file, secrets) {
  const folder = dirname(file);
  const names = readdirSync(folder).filter((name) => name.startsWith(basename(file)));
  const bytes = names.map((name) => readFileSync(join(folder, name)));
  return secrets.filter((secret) => bytes.some((content) => content.includes(secret)));
}
