// A Durable Object that holds one record.
//
// It implements the four methods of the store (`deputy::host::Store`) for every kind of record. It is written in
// JavaScript, because it only passes bytes between its caller and its storage. A method does not wait between its read
// and its write, so no other request of the object runs between them. The runtime holds back the result until the
// writes are durable.
//
// An object exists as long as its record. It writes nothing before the first record, sets an alarm at the record's
// expiry, and removes everything with the record, alarm and table included.
//
// A record passes as bytes: version and expiry, eight bytes each, and the value.

import { DurableObject } from "cloudflare:workers";

export class RecordObject extends DurableObject {
  /** The record in storage: `null` if there is none, `undefined` before storage was read. */
  #record;

  get(now) {
    return this.#live(now)?.bytes ?? null;
  }

  async put(value, expiresAt) {
    await this.#write(value, expiresAt);
  }

  async replace(expected, value, expiresAt, now) {
    if ((this.#live(now)?.version ?? null) !== expected) return false;
    await this.#write(value, expiresAt);
    return true;
  }

  async take(now) {
    const live = this.#live(now);
    await this.#remove();
    return live?.bytes ?? null;
  }

  async alarm() {
    const record = this.#read();
    if (record !== null && record.expiresAt * 1000 > Date.now()) await this.#alarmAt(record.expiresAt);
    else await this.#remove();
  }

  #live(now) {
    const record = this.#read();
    return record !== null && record.expiresAt > now ? record : null;
  }

  /** The record, even if it has expired. */
  #read() {
    if (this.#record !== undefined) return this.#record;
    const { sql } = this.ctx.storage;
    // `CREATE TABLE IF NOT EXISTS` would create an object for every name that a client guesses.
    const row = sql.exec(HAS_TABLE).toArray().length === 0 ? undefined : sql.exec(READ).toArray()[0];
    this.#record = row === undefined ? null : record(row.version, row.expires_at, row.value);
    return this.#record;
  }

  async #write(value, expiresAt) {
    const before = this.#read();
    const { sql } = this.ctx.storage;
    const version = newVersion();
    if (before === null) sql.exec(CREATE_TABLE);
    sql.exec(WRITE, value, version, expiresAt);
    this.#record = record(version, expiresAt, value);
    if (before?.expiresAt !== expiresAt) await this.#alarmAt(expiresAt);
  }

  /** Removes everything: an object without storage ceases to exist. The record is deleted before the first wait. */
  async #remove() {
    if (this.#read() === null) return;
    const { storage } = this.ctx;
    storage.sql.exec(DELETE);
    this.#record = null;
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
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT`;

const READ = "SELECT value, version, expires_at FROM record";

const DELETE = "DELETE FROM record";

const WRITE = "INSERT OR REPLACE INTO record (id, value, version, expires_at) VALUES (1, ?1, ?2, ?3)";
