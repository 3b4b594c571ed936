// The Durable Objects of a local workerd, as files.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";

/** The files of all objects that the Worker named `worker`, with its data in the folder `data`, has ever used. */
export function objects(data, worker) {
  const folder = join(data, "v3/do", `${worker}-RecordObject`);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => /^[0-9a-f]{64}\.sqlite$/.test(name))
    .map((name) => join(folder, name));
}

/** The files of the objects that store anything: a table, or an alarm. */
export function liveObjects(data, worker) {
  return objects(data, worker).filter((file) => {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      // workerd may hold a lock.
      database.exec("PRAGMA busy_timeout = 10000");
      const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
      // Miniflare adds this table with the object's name. Cloudflare does not.
      return tables.some(({ name }) => name !== "__miniflare_do_name");
    } finally {
      database.close();
    }
  });
}

/** The members of `texts` that the files of an object contain. `file` is the main one; its write-ahead log is read too. */
export function contained(file, texts) {
  const folder = dirname(file);
  const names = readdirSync(folder).filter((name) => name.startsWith(basename(file)));
  const bytes = names.map((name) => readFileSync(join(folder, name)));
  return texts.filter((text) => bytes.some((content) => content.includes(text)));
}
