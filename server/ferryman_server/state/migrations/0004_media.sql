-- Media: the index of an uploaded archive, the library, and the work that both of them cause.
-- Times are seconds since the epoch, sizes and offsets are bytes, durations are seconds.

-- An archive that is looked into. Everything before "offset" is in `entries`.
CREATE TABLE archives (
    id         INTEGER PRIMARY KEY,
    upload_id  TEXT NOT NULL UNIQUE REFERENCES uploads (id) ON DELETE CASCADE,
    phase      TEXT NOT NULL CHECK (phase IN ('indexing', 'ready', 'not-frames', 'failed')),
    "offset"   INTEGER NOT NULL CHECK ("offset" >= 0),
    checkpoint TEXT,  -- what the walker needs to go on from there
    reason     TEXT,
    updated_at REAL NOT NULL
) STRICT;

CREATE INDEX archives_in_work ON archives (id) WHERE phase = 'indexing';

CREATE TABLE entries (
    archive_id     INTEGER NOT NULL REFERENCES archives (id) ON DELETE CASCADE,
    number         INTEGER NOT NULL CHECK (number >= 0),
    name           TEXT NOT NULL,
    "offset"       INTEGER NOT NULL CHECK ("offset" >= 0),
    data           INTEGER NOT NULL CHECK (data >= "offset"),
    packed         INTEGER NOT NULL CHECK (packed >= 0),
    size           INTEGER NOT NULL CHECK (size >= 0),
    crc            INTEGER NOT NULL,
    method         INTEGER NOT NULL,
    flags          INTEGER NOT NULL,
    picture_format TEXT,
    picture_width  INTEGER,
    picture_height INTEGER,
    PRIMARY KEY (archive_id, number)
) STRICT, WITHOUT ROWID;

-- Which entry is which frame: known when the archive is published. Entries go only with their archive, or all at once,
-- so that `entry` needs no foreign key (nor an index that serves it).
CREATE TABLE frames (
    archive_id INTEGER NOT NULL REFERENCES archives (id) ON DELETE CASCADE,
    n          INTEGER NOT NULL CHECK (n >= 0),
    entry      INTEGER NOT NULL,
    PRIMARY KEY (archive_id, n)
) STRICT, WITHOUT ROWID;

-- The filmstrip of a running upload.
CREATE TABLE thumbs (
    archive_id INTEGER NOT NULL REFERENCES archives (id) ON DELETE CASCADE,
    number     INTEGER NOT NULL,  -- of the entry
    jpeg       BLOB NOT NULL CHECK (length(jpeg) <= 8192),
    PRIMARY KEY (archive_id, number)
) STRICT;

-- What the library shows. What it shows of a medium's content is in `generations`; kind, size and duration are repeated
-- here for the listing's indexes.
CREATE TABLE media (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    slug         TEXT NOT NULL UNIQUE CHECK (slug <> ''),
    name         TEXT NOT NULL,  -- of the uploaded file: uploaded again, it is a new generation of this medium
    owner        TEXT,
    title        TEXT NOT NULL,
    title_key    TEXT NOT NULL,  -- the title's place in the order of names
    search_text  TEXT NOT NULL,  -- what is searched: title, name and tags, folded
    generation   INTEGER NOT NULL,  -- the active one
    kind         TEXT NOT NULL CHECK (kind IN ('frames', 'video', 'audio', 'image', 'file')),
    size         INTEGER NOT NULL CHECK (size >= 0),
    duration     REAL NOT NULL,  -- 0: it has none
    created_at   REAL NOT NULL,
    published_at REAL NOT NULL,  -- the active generation
    updated_at   REAL NOT NULL,
    favourite    INTEGER NOT NULL DEFAULT 0 CHECK (favourite IN (0, 1)),
    rating       INTEGER NOT NULL DEFAULT 0 CHECK (rating BETWEEN 0 AND 5),
    views        INTEGER NOT NULL DEFAULT 0 CHECK (views >= 0)
) STRICT;

CREATE UNIQUE INDEX media_by_name ON media (name, ifnull(owner, ''));
-- The orders of the listing. An index ends with the row's number, which is the id: the tie-breaker.
CREATE INDEX media_by_title ON media (title_key);
CREATE INDEX media_by_date ON media (published_at);
CREATE INDEX media_by_size ON media (size);
CREATE INDEX media_by_duration ON media (duration);
CREATE INDEX media_by_rating ON media (rating);
CREATE INDEX media_by_views ON media (views);
-- What the listing is narrowed to.
CREATE INDEX media_by_kind ON media (kind);
CREATE INDEX media_favourites ON media (favourite) WHERE favourite = 1;

CREATE TABLE tags (
    media_id INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    tag      TEXT NOT NULL,
    PRIMARY KEY (media_id, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX tags_by_tag ON tags (tag, media_id);

-- Which three characters follow each other in which medium's search_text: a superset of what is found.
CREATE VIRTUAL TABLE media_search USING fts5 (
    search_text, content = 'media', content_rowid = 'id', tokenize = 'trigram case_sensitive 1', detail = none,
    columnsize = 0
);
-- All threes there are: words of one or two characters are found by those that begin with them.
CREATE VIRTUAL TABLE media_threes USING fts5vocab (media_search, row);

-- Numbers of media that are gone, until the search forgets them: it finds nothing by them, since no number is given
-- twice. It must not happen where they go: an upload's end may be what removes them, and a trigger that reaches a virtual
-- table has every write of an upload prepare for writing to that table.
CREATE TABLE media_to_forget (
    id          INTEGER PRIMARY KEY,
    search_text TEXT NOT NULL
) STRICT;

CREATE TRIGGER media_search_of_gone AFTER DELETE ON media
BEGIN
    INSERT INTO media_to_forget (id, search_text) VALUES (old.id, old.search_text);
END;

CREATE TRIGGER media_search_of_new AFTER INSERT ON media
BEGIN
    INSERT INTO media_search (rowid, search_text) VALUES (new.id, new.search_text);
    INSERT INTO media_search (media_search, rowid, search_text) SELECT 'delete', id, search_text FROM media_to_forget;
    DELETE FROM media_to_forget;
END;

CREATE TRIGGER media_search_of_changed AFTER UPDATE OF search_text ON media
WHEN old.search_text <> new.search_text
BEGIN
    INSERT INTO media_search (media_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
    INSERT INTO media_search (rowid, search_text) VALUES (new.id, new.search_text);
END;

-- The library as a whole: one row. The generations' numbers rise over all media and are never given twice, so that what
-- is addressed by slug and generation is the same bytes for ever.
CREATE TABLE library (
    only_row   INTEGER PRIMARY KEY CHECK (only_row = 1),
    generation INTEGER NOT NULL,  -- the number that was given last
    active     INTEGER REFERENCES media (id) ON DELETE SET NULL  -- what the player shows
) STRICT;

INSERT INTO library (only_row, generation) VALUES (1, 0);

-- Every complete upload that was published, and what it is.
CREATE TABLE generations (
    number       INTEGER PRIMARY KEY,
    media_id     INTEGER NOT NULL REFERENCES media (id) ON DELETE CASCADE,
    upload_id    TEXT NOT NULL UNIQUE REFERENCES uploads (id) ON DELETE CASCADE,
    replaced     TEXT,  -- the upload that was the medium's before; it may be gone since
    together     INTEGER NOT NULL,  -- the same number for all that were published at once
    place        INTEGER NOT NULL,  -- among those
    kind         TEXT NOT NULL CHECK (kind IN ('frames', 'video', 'audio', 'image', 'file')),
    size         INTEGER NOT NULL CHECK (size >= 0),
    content_type TEXT NOT NULL,
    width        INTEGER,
    height       INTEGER,
    format       TEXT,
    fps          REAL,
    frames       INTEGER,  -- how many; NULL: it is no archive of frames
    duration     REAL,
    published_at REAL NOT NULL
) STRICT;

CREATE INDEX generations_by_medium ON generations (media_id, number);
CREATE INDEX generations_together ON generations (together, place);

-- What is made of a generation in the background: posters, sheets, previews.
CREATE TABLE derived (
    upload_id    TEXT NOT NULL REFERENCES generations (upload_id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('wanted', 'ready', 'failed')),
    place        TEXT,  -- where its bytes lie
    size         INTEGER,
    content_type TEXT,
    reason       TEXT,
    updated_at   REAL NOT NULL,
    PRIMARY KEY (upload_id, kind),
    CHECK (state <> 'ready' OR (place IS NOT NULL AND size IS NOT NULL AND content_type IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What nothing refers to any more, until it has been freed: uploads whose medium was deleted, and places that `derived`
-- told.
CREATE TABLE leftover_uploads (
    upload_id TEXT NOT NULL PRIMARY KEY REFERENCES uploads (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE leftover_places (
    place TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- Complete uploads of a group that has not arrived whole.
CREATE TABLE waiting (
    upload_id   TEXT NOT NULL PRIMARY KEY REFERENCES uploads (id) ON DELETE CASCADE,
    group_name  TEXT NOT NULL,
    group_size  INTEGER NOT NULL CHECK (group_size > 0),
    owner       TEXT,
    name        TEXT NOT NULL,
    publication TEXT NOT NULL,  -- JSON: what is to be published
    since       REAL NOT NULL
) STRICT;

-- A group holds a name once: uploaded again meanwhile, the later one counts.
CREATE UNIQUE INDEX waiting_by_group ON waiting (group_name, ifnull(owner, ''), name);

-- Work to be done at least once, written in the transaction that causes it.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL,
    key        TEXT NOT NULL,
    data       TEXT NOT NULL,  -- JSON
    created_at REAL NOT NULL,
    due_at     REAL NOT NULL,
    taken_at   REAL,
    attempts   INTEGER NOT NULL DEFAULT 0,  -- that failed
    reason     TEXT,  -- of the last failure
    failed_at  REAL,  -- given up
    UNIQUE (kind, key)
) STRICT;

CREATE INDEX outbox_waiting ON outbox (due_at, id) WHERE taken_at IS NULL AND failed_at IS NULL;
CREATE INDEX outbox_taken ON outbox (id) WHERE taken_at IS NOT NULL;
CREATE INDEX outbox_failed ON outbox (failed_at, id) WHERE failed_at IS NOT NULL;

-- What ends with an upload, or with its being complete. One trigger for all of it: each costs every upload's every write
-- something. (For a list behind IN a table is built each time: a tenth of what a write costs.) A row that is deleted takes
-- the same with it by the foreign keys.
DROP TRIGGER redo_of_complete_uploads;

CREATE TRIGGER what_ends_with_an_upload AFTER UPDATE OF phase ON uploads
WHEN new.phase <> 'complete'
 AND (old.phase = 'complete' OR new.phase = 'terminated' OR new.phase = 'expired' OR new.phase = 'failed'
      OR new.phase = 'invalid')
BEGIN
    DELETE FROM redo WHERE upload_id = new.id;
    DELETE FROM waiting WHERE upload_id = new.id;
    DELETE FROM generations WHERE upload_id = new.id;
    DELETE FROM archives WHERE upload_id = new.id;
    DELETE FROM leftover_uploads WHERE upload_id = new.id;
END;

-- A medium whose active generation is gone shows the newest of the others, or goes.
CREATE TRIGGER medium_without_its_generation AFTER DELETE ON generations
BEGIN
    UPDATE media
    SET generation = other.number, kind = other.kind, size = other.size, duration = ifnull(other.duration, 0),
        published_at = other.published_at
    FROM (SELECT * FROM generations WHERE media_id = old.media_id ORDER BY number DESC LIMIT 1) AS other
    WHERE id = old.media_id AND generation = old.number;
    DELETE FROM media WHERE id = old.media_id AND generation = old.number;
END;

CREATE TRIGGER bytes_of_what_was_derived AFTER DELETE ON derived
WHEN old.place IS NOT NULL
BEGIN
    INSERT OR IGNORE INTO leftover_places (place) VALUES (old.place);
END;

CREATE TRIGGER bytes_of_what_was_derived_before AFTER UPDATE OF place ON derived
WHEN old.place IS NOT NULL AND new.place IS NOT old.place
BEGIN
    INSERT OR IGNORE INTO leftover_places (place) VALUES (old.place);
END;
