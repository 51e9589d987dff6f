-- Uploads, the partial uploads that a concatenation names, and what the database knows about itself.
-- Times are seconds since the epoch, sizes and offsets are bytes.

-- store_id: the store these rows belong to; boot_id: the kernel's, at the last open; term: how often it was opened.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE uploads (
    id                 TEXT NOT NULL PRIMARY KEY CHECK (id <> ''),
    phase              TEXT NOT NULL CHECK (phase IN ('empty', 'receiving', 'finishing', 'complete', 'failed',
                                                      'invalid', 'waiting', 'expired', 'terminated')),
    "offset"           INTEGER NOT NULL CHECK ("offset" >= 0),
    length             INTEGER CHECK (length >= 0),
    dialect            TEXT NOT NULL CHECK (dialect IN ('tus', 'rufh')),
    metadata           TEXT,
    concat             TEXT CHECK (concat IN ('partial', 'final')),
    concat_echo        TEXT,
    content_type       TEXT,
    content_encoding   TEXT,
    filename           TEXT,
    expires_at         REAL,
    reason             TEXT,
    crc64              INTEGER NOT NULL,  -- unsigned 64 bits, kept as the signed number with the same bits
    fence              INTEGER NOT NULL CHECK (fence >= 0),
    adoptable          INTEGER NOT NULL CHECK (adoptable IN (0, 1)),
    created_at         REAL NOT NULL,
    updated_at         REAL NOT NULL,
    completed_at       REAL,
    owner              TEXT,
    target             TEXT,
    repr_digests       TEXT,  -- JSON: [[algorithm, base64 of the digest], …]
    want_repr_digests  TEXT,  -- JSON: [algorithm, …]
    CHECK (length IS NULL OR length >= "offset" OR concat IS 'final')
) STRICT;

-- The order of the listing; read backwards, newest first.
CREATE INDEX uploads_by_age ON uploads (created_at, id);
CREATE INDEX uploads_by_phase ON uploads (phase);
-- What may fall due; a published upload never does unless it is a partial one, and one that is gone is found by its phase.
CREATE INDEX uploads_due ON uploads (expires_at, id)
    WHERE phase NOT IN ('complete', 'expired', 'terminated') OR (phase = 'complete' AND concat = 'partial');

-- A partial upload may be gone while the final one that names it stays, so partial_id is no foreign key.
CREATE TABLE parts (
    final_id   TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL CHECK (position >= 0),
    partial_id TEXT NOT NULL,
    PRIMARY KEY (final_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX parts_by_partial ON parts (partial_id);
