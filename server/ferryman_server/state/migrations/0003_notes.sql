-- What a store has to know about an upload until it is complete: names and values of its own, committed with the row.
CREATE TABLE notes (
    upload_id TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    name      TEXT NOT NULL,
    value     TEXT NOT NULL,
    PRIMARY KEY (upload_id, name)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER notes_of_complete_uploads AFTER UPDATE OF phase ON uploads
WHEN new.phase = 'complete'
BEGIN
    DELETE FROM notes WHERE upload_id = new.id;
END;
