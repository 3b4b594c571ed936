// The Durable Objects of a local workerd, as they lie on its disk.

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
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
