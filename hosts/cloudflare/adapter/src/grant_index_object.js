// The Durable Object that holds the index of all grants. There is one, since objects cannot be listed.
//
// An entry has the id of a grant, digests of its client and user, and an expiry, and no more. Only logins, ends of grants
// and the admin interface call the object. The runtime holds back the result of a call until its writes are durable.

import { DurableObject } from "cloudflare:workers";

export class GrantIndexObject extends DurableObject {
  #hasTables = false;

  /** The ids after `after`, in order and without separators. */
  list(client, user, after, limit, now) {
    const rows = this.#sql().exec(LIST, after, now, client, user, limit).toArray();
    return rows.map(({ id }) => id).join("");
  }

  enter(id, client, user, until, now) {
    this.#sql().exec(SWEEP, now, SWEPT);
    this.#sql().exec(ENTER, id, client, user, until);
  }

  remove(id) {
    this.#sql().exec(REMOVE, id);
  }

  #sql() {
    const { sql } = this.ctx.storage;
    if (!this.#hasTables) sql.exec(CREATE);
    this.#hasTables = true;
    return sql;
  }
}

/** Expired entries that one login removes at most. */
const SWEPT = 20;

const CREATE = `
  CREATE TABLE IF NOT EXISTS entry (
    id TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    user TEXT NOT NULL,
    until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS entry_by_client ON entry (client, id);
  CREATE INDEX IF NOT EXISTS entry_by_user ON entry (user, id);
  CREATE INDEX IF NOT EXISTS entry_by_expiry ON entry (until)`;

const LIST = `
  SELECT id FROM entry
  WHERE id > ?1 AND until > ?2 AND (?3 IS NULL OR client = ?3) AND (?4 IS NULL OR user = ?4)
  ORDER BY id LIMIT ?5`;

const SWEEP = "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE until <= ?1 ORDER BY until LIMIT ?2)";

const ENTER = "INSERT OR REPLACE INTO entry (id, client, user, until) VALUES (?1, ?2, ?3, ?4)";

const REMOVE = "DELETE FROM entry WHERE id = ?1";
