// A Durable Object with up to three records, each in a slot. The approval, the login and the grant of one authorization
// request follow each other in one object: the first use of an object, and its removal, cost more than everything else.
//
// It implements the four operations (`deputy::host::Operation`) on every kind of record but clients. It is written in
// JavaScript, because it only passes bytes between its caller and its storage. A method does not wait between its read
// and its write, so no other request of the object runs between them. The runtime holds back the result until the
// writes are durable.
//
// An object writes nothing before the first record. It has an alarm as long as it has a table. The alarm removes what has
// expired, and is set anew while anything is left; at the end it removes everything, the table included. A write leaves the
// alarm as it is, unless the record is to expire earlier than before.
//
// A record passes as bytes: version and expiry, eight bytes each, and the value.

import { DurableObject } from "cloudflare:workers";

/** The slot of a record that has its object for itself. A caller from before there were slots names none. */
const ONLY = 1;

/** Seconds for which a caller leaves an empty object to its alarm. A login lasts no longer. */
const SOON = 600;

export class RecordObject extends DurableObject {
  /** The records in storage by slot; `undefined` before storage was read. */
  #records;
  #hasTable;

  get(now, slot = ONLY) {
    return this.#live(slot, now)?.bytes ?? null;
  }

  async put(value, expiresAt, slot = ONLY) {
    await this.#write(slot, value, expiresAt);
  }

  async replace(expected, value, expiresAt, now, slot = ONLY) {
    if ((this.#live(slot, now)?.version ?? null) !== expected) return false;
    await this.#write(slot, value, expiresAt);
    return true;
  }

  async take(now, slot = ONLY) {
    const record = this.#read().get(slot);
    if (record === undefined) return null;
    this.#delete(slot);
    if (this.#records.size === 0 && record.expiresAt > now + SOON) await this.#remove();
    return record.expiresAt > now ? record.bytes : null;
  }

  async alarm() {
    const now = Date.now() / 1000;
    for (const [slot, record] of this.#read()) if (record.expiresAt <= now) this.#delete(slot);
    const expiries = Array.from(this.#records.values(), (record) => record.expiresAt);
    if (expiries.length === 0) await this.#remove();
    else await this.#alarmAt(Math.min(...expiries));
  }

  #live(slot, now) {
    const record = this.#read().get(slot);
    return record !== undefined && record.expiresAt > now ? record : undefined;
  }

  /** The records, even those that have expired. */
  #read() {
    if (this.#records !== undefined) return this.#records;
    const { sql } = this.ctx.storage;
    // `CREATE TABLE IF NOT EXISTS` would create an object for every name that a client guesses.
    this.#hasTable = sql.exec(HAS_TABLE).toArray().length > 0;
    const rows = this.#hasTable ? sql.exec(READ).toArray() : [];
    this.#records = new Map(rows.map((row) => [row.id, record(row.version, row.expires_at, row.value)]));
    return this.#records;
  }

  async #write(slot, value, expiresAt) {
    const before = this.#read().get(slot);
    const { sql } = this.ctx.storage;
    const version = newVersion();
    const isFirst = !this.#hasTable;
    if (isFirst) sql.exec(CREATE_TABLE);
    this.#hasTable = true;
    sql.exec(WRITE, slot, value, version, expiresAt);
    this.#records.set(slot, record(version, expiresAt, value));
    if (isFirst || before?.expiresAt > expiresAt) await this.#alarmAt(expiresAt);
  }

  #delete(slot) {
    this.ctx.storage.sql.exec(DELETE, slot);
    this.#records.delete(slot);
  }

  /** Removes the empty table and the alarm: an object without storage ceases to exist. */
  async #remove() {
    if (!this.#hasTable) return;
    const { storage } = this.ctx;
    this.#hasTable = false;
    await Promise.all([storage.deleteAlarm(), storage.deleteAll()]);
  }

  async #alarmAt(expiresAt) {
    await this.ctx.storage.setAlarm(expiresAt * 1000);
  }
}

function record(version, expiresAt, value) {
  const bytes = new Uint8Array(16 + value.byteLength);
  const head = new DataView(bytes.buffer);
  head.setBigUint64(0, BigInt(version));
  head.setBigUint64(8, BigInt(expiresAt));
  bytes.set(new Uint8Array(value), 16);
  return { version, expiresAt, bytes };
}

/**
 * A random version, because a removed object does not remember the previous one. It has 48 bits: JavaScript's numbers
 * hold integers of SQLite exactly up to 53.
 */
function newVersion() {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high & 0xffff) * 2 ** 32 + low;
}

const HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'record'";

const CREATE_TABLE = `
  CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT`;

const READ = "SELECT id, value, version, expires_at FROM record";

const DELETE = "DELETE FROM record WHERE id = ?1";

const WRITE = "INSERT OR REPLACE INTO record (id, value, version, expires_at) VALUES (?1, ?2, ?3, ?4)";
