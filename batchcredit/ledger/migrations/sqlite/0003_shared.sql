-- Several senders may share a ledger, where the database lets them: who claimed a row, who loads a batch.

ALTER TABLE transfer ADD COLUMN sender INTEGER; -- who claimed it last; 0 where there is one at a time
ALTER TABLE transfer ADD COLUMN late_at INTEGER; -- an attempt before the last was confirmed only then
ALTER TABLE batch ADD COLUMN loader INTEGER NOT NULL DEFAULT 0;

-- Each process that sends, as long as it has its session. Where there is one at a time, `holder` says who.
CREATE TABLE sender (
    id         INTEGER PRIMARY KEY,
    run        INTEGER NOT NULL REFERENCES run,
    batch      INTEGER NOT NULL REFERENCES batch,
    driver     INTEGER,                 -- the sender that started it, and without which it ends
    user       TEXT NOT NULL,
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    command    TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    why        TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX sender_batch ON sender (batch);
