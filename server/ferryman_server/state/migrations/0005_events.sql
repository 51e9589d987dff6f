-- What happened to uploads, the newest of it, for listeners that were away.

-- seq: rises, and is never used twice. event: JSON, its name and what is told of it. The upload itself may be gone.
CREATE TABLE events (
    seq   INTEGER NOT NULL PRIMARY KEY CHECK (seq > 0),
    event TEXT NOT NULL
) STRICT;

-- One row. reserved: no higher seq has been told to anybody. whole_at: the term at whose end every event that was told
-- had its row; NULL while a process tells.
CREATE TABLE event_numbers (
    only_one INTEGER NOT NULL PRIMARY KEY CHECK (only_one = 1),
    reserved INTEGER NOT NULL,
    whole_at INTEGER
) STRICT;
