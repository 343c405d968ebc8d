-- Money is exact decimal text; times are milliseconds since 1970 in UTC.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- Who holds the lock; told to the next one. The lock itself is the operating system's.
CREATE TABLE holder (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    pid        INTEGER NOT NULL,
    user       TEXT NOT NULL,
    host       TEXT NOT NULL,
    command    TEXT NOT NULL,
    started_at INTEGER NOT NULL
) STRICT;

-- One login at one provider.
CREATE TABLE lane (
    id           INTEGER PRIMARY KEY,
    kind         TEXT NOT NULL,
    base_url     TEXT NOT NULL,
    login        TEXT NOT NULL,
    accepted_at  INTEGER NOT NULL,
    proven       INTEGER NOT NULL DEFAULT 0 CHECK (proven IN (0, 1)),
    last_sent_at INTEGER,
    paused_until INTEGER,
    UNIQUE (kind, base_url, login)
) STRICT;

CREATE TABLE batch (
    id                 INTEGER PRIMARY KEY,
    name               TEXT NOT NULL UNIQUE,
    content            BLOB NOT NULL,
    state              TEXT NOT NULL CHECK (state IN ('loading', 'ready')),
    rows               INTEGER NOT NULL,
    source             TEXT NOT NULL,
    results            TEXT NOT NULL,
    totals             TEXT NOT NULL,              -- JSON: currency -> amount of all valid rows
    created_at         INTEGER NOT NULL,
    finished_at        INTEGER,                    -- when nothing was left to send
    repeats_allowed_at INTEGER NOT NULL DEFAULT 0, -- repeats credited up to then were approved
    stop_reason        TEXT NOT NULL DEFAULT ''    -- why rows without a reason of their own were not sent
) STRICT;
CREATE INDEX batch_content ON batch (content);

CREATE TABLE batch_lane (
    batch        INTEGER NOT NULL REFERENCES batch,
    profile      TEXT NOT NULL,
    lane         INTEGER NOT NULL REFERENCES lane,
    halt_reason  TEXT NOT NULL DEFAULT '',
    halt_message TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (batch, profile)
) STRICT, WITHOUT ROWID;

-- The input's own columns, as they stood, in blocks that only reader and writer understand.
CREATE TABLE cells (
    batch     INTEGER NOT NULL REFERENCES batch,
    first_row INTEGER NOT NULL,
    rows      INTEGER NOT NULL,
    frame     BLOB NOT NULL,
    PRIMARY KEY (batch, first_row)
) STRICT;

-- OR and not IN in what is checked for each row: SQLite builds a table of a list's members each time.
CREATE TABLE transfer (
    id             INTEGER PRIMARY KEY,
    batch          INTEGER NOT NULL REFERENCES batch,
    row            INTEGER NOT NULL,
    lane           INTEGER REFERENCES lane,     -- empty for an invalid row only
    provider       TEXT NOT NULL,
    account        TEXT NOT NULL,
    account_key    TEXT NOT NULL,
    amount         TEXT NOT NULL,
    currency       TEXT NOT NULL,
    reference      TEXT,
    state          TEXT NOT NULL CHECK (state = 'pending' OR state = 'sending' OR state = 'credited'
                       OR state = 'rejected' OR state = 'unsent' OR state = 'in_doubt' OR state = 'invalid'
                       OR state = 'already_credited' OR state = 'cancelled'),
    reason         TEXT NOT NULL DEFAULT '',
    http_status    INTEGER,
    provider_code  TEXT NOT NULL DEFAULT '',
    message        TEXT NOT NULL DEFAULT '',
    units          TEXT,
    balance_before TEXT,
    balance_after  TEXT,
    attempts       INTEGER NOT NULL DEFAULT 0,
    sent_at        INTEGER,
    ended_at       INTEGER,
    duration_ms    INTEGER,
    not_before     INTEGER NOT NULL DEFAULT 0,
    settled_by     TEXT NOT NULL DEFAULT '',
    generation     INTEGER NOT NULL DEFAULT 1,  -- grows with each correction
    UNIQUE (batch, row),
    CHECK (lane IS NOT NULL OR state = 'invalid')
) STRICT;

-- One reference stands for one transfer, for ever.
CREATE UNIQUE INDEX transfer_reference_spent ON transfer (reference)
    WHERE reference IS NOT NULL AND (state = 'sending' OR state = 'in_doubt' OR state = 'credited');
CREATE INDEX transfer_reference ON transfer (reference) WHERE reference IS NOT NULL;

-- One transfer of an account is in flight at a time.
CREATE UNIQUE INDEX transfer_in_flight ON transfer (lane, account_key) WHERE state = 'sending';

-- What repeats, and what a client got.
CREATE INDEX transfer_content ON transfer (account_key, amount, currency);

-- A row as it was before it was corrected.
CREATE TABLE corrected (
    transfer   INTEGER NOT NULL REFERENCES transfer,
    generation INTEGER NOT NULL,
    account    TEXT NOT NULL,
    amount     TEXT NOT NULL,
    currency   TEXT NOT NULL,
    reference  TEXT,
    state      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    message    TEXT NOT NULL,
    attempts   INTEGER NOT NULL,
    sent_at    INTEGER,
    at         INTEGER NOT NULL,
    PRIMARY KEY (transfer, generation)
) STRICT, WITHOUT ROWID;

-- A person's word on a row.
CREATE TABLE verdict (
    id       INTEGER PRIMARY KEY,
    transfer INTEGER NOT NULL REFERENCES transfer,
    verdict  TEXT NOT NULL CHECK (verdict IN ('credited', 'not-credited', 'in-doubt', 'cancelled')),
    was      TEXT NOT NULL,
    note     TEXT NOT NULL,
    user     TEXT NOT NULL,
    host     TEXT NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX verdict_transfer ON verdict (transfer);

-- One row for each time that rows were sent.
CREATE TABLE run (
    id         INTEGER PRIMARY KEY,
    batch      INTEGER NOT NULL REFERENCES batch,
    user       TEXT NOT NULL,
    host       TEXT NOT NULL,
    pid        INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    reason     TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX run_batch ON run (batch);
