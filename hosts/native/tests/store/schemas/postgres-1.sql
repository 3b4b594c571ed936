-- A database of the schema 1, with a record of a grant. Never change it.
CREATE TABLE deputy_schema (version integer NOT NULL);
INSERT INTO deputy_schema VALUES (1);
CREATE TABLE deputy_record (
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    version bigint NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE INDEX deputy_record_by_expiry ON deputy_record (expires_at);
INSERT INTO deputy_record VALUES ('grant', '00000000000000010000000000000000', '\x6b657074', 7, 1800000600);
