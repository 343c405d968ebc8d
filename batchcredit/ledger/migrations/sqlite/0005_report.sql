-- What a report tells beside the rows: with which settings a run was made, and when its lanes paused.

ALTER TABLE run ADD COLUMN settings TEXT NOT NULL DEFAULT ''; -- JSON, never a secret; '' where nobody kept them

-- A time in which a provider wanted no request of a lane, and what it was that asked for it.
CREATE TABLE pause (
    id    INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL REFERENCES batch,
    lane  INTEGER NOT NULL REFERENCES lane,
    began INTEGER NOT NULL,
    until INTEGER NOT NULL,
    why   TEXT NOT NULL
) STRICT;
CREATE INDEX pause_batch ON pause (batch, lane);
