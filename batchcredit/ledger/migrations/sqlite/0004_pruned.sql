-- Old batches go to an archive file; what the guards compare stays.

ALTER TABLE batch ADD COLUMN pruned_at INTEGER;
ALTER TABLE batch ADD COLUMN archive TEXT NOT NULL DEFAULT '';
ALTER TABLE batch ADD COLUMN archive_sha256 TEXT NOT NULL DEFAULT '';

-- How the rows of a batch stood. sent_at: of the last of them, or when they were enrolled.
CREATE TABLE archived_tally (
    batch    INTEGER NOT NULL REFERENCES batch,
    lane     INTEGER REFERENCES lane,
    provider TEXT NOT NULL,
    state    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    currency TEXT NOT NULL,
    rows     INTEGER NOT NULL,
    amount   TEXT NOT NULL,
    sent_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX archived_tally_batch ON archived_tally (batch);

-- The references that archived rows have been credited with, and for what.
CREATE TABLE archived_reference (
    reference   TEXT PRIMARY KEY,
    batch       INTEGER NOT NULL REFERENCES batch,
    row         INTEGER NOT NULL,
    lane        INTEGER NOT NULL REFERENCES lane,
    provider    TEXT NOT NULL,
    account_key TEXT NOT NULL,
    amount      TEXT NOT NULL,
    currency    TEXT NOT NULL,
    credited_at INTEGER
) STRICT, WITHOUT ROWID;

-- The clients that archived rows have credited. The amount is to be compared, and no money.
CREATE TABLE archived_client (
    lane        INTEGER NOT NULL REFERENCES lane,
    account_key TEXT NOT NULL,
    currency    TEXT NOT NULL,
    largest     REAL NOT NULL,
    PRIMARY KEY (lane, account_key, currency)
) STRICT, WITHOUT ROWID;

-- What transfer_reference_spent forbids between rows is forbidden for archived ones, too.
CREATE TRIGGER transfer_reference_archived BEFORE UPDATE OF state ON transfer
    WHEN NEW.reference IS NOT NULL
        AND (NEW.state = 'sending' OR NEW.state = 'in_doubt' OR NEW.state = 'credited')
        AND NOT (OLD.state = 'sending' OR OLD.state = 'in_doubt' OR OLD.state = 'credited')
    BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: transfer.reference') WHERE EXISTS
        (SELECT 1 FROM archived_reference WHERE reference = NEW.reference); END;
CREATE TRIGGER transfer_reference_archived_new BEFORE INSERT ON transfer
    WHEN NEW.reference IS NOT NULL
        AND (NEW.state = 'sending' OR NEW.state = 'in_doubt' OR NEW.state = 'credited')
    BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed: transfer.reference') WHERE EXISTS
        (SELECT 1 FROM archived_reference WHERE reference = NEW.reference); END;
