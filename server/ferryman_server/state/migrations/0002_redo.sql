-- The content of small uploads that are complete here and not yet durable in the store: a start after a crash writes it
-- out again. It goes with its upload, and with the upload's completeness.
CREATE TABLE redo (
    upload_id TEXT NOT NULL PRIMARY KEY REFERENCES uploads (id) ON DELETE CASCADE,
    content   BLOB NOT NULL
) STRICT;

CREATE TRIGGER redo_of_complete_uploads AFTER UPDATE OF phase ON uploads
WHEN old.phase = 'complete' AND new.phase <> 'complete'
BEGIN
    DELETE FROM redo WHERE upload_id = new.id;
END;

-- Nobody looks for complete uploads by their phase, and most uploads are complete: how many there are is told by the
-- number of all rows.
DROP INDEX uploads_by_phase;
CREATE INDEX uploads_by_phase ON uploads (phase) WHERE phase <> 'complete';
