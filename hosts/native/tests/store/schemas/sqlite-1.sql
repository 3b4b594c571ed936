-- A file of the schema 1, with a record of a grant. Never change it.
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;
CREATE INDEX record_by_expiry ON record (expires_at);
CREATE TABLE version_counter (next INTEGER NOT NULL) STRICT;
INSERT INTO version_counter VALUES (8);
INSERT INTO record VALUES (1, 'grant', '00000000000000010000000000000000', x'6b657074', 7, 1800000600);
PRAGMA user_version = 1;
PRAGMA application_id = 1148220537;
