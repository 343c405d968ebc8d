-- Old batches go to an archive file; what the guards compare stays.

ALTER TABLE batch ADD COLUMN pruned_at BIGINT;
ALTER TABLE batch ADD COLUMN archive TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE batch ADD COLUMN archive_sha256 TEXT COLLATE "C" NOT NULL DEFAULT '';

-- How the rows of a batch stood. sent_at: of the last of them, or when they were enrolled.
CREATE TABLE archived_tally (
    batch    BIGINT NOT NULL REFERENCES batch,
    lane     BIGINT REFERENCES lane,
    provider TEXT COLLATE "C" NOT NULL,
    state    TEXT COLLATE "C" NOT NULL,
    reason   TEXT COLLATE "C" NOT NULL,
    currency TEXT COLLATE "C" NOT NULL,
    rows     BIGINT NOT NULL,
    amount   TEXT COLLATE "C" NOT NULL,
    sent_at  BIGINT NOT NULL
);
CREATE INDEX archived_tally_batch ON archived_tally (batch);

-- The references that archived rows have been credited with, and for what.
CREATE TABLE archived_reference (
    reference   TEXT COLLATE "C" NOT NULL,
    batch       BIGINT NOT NULL REFERENCES batch,
    row         BIGINT NOT NULL,
    lane        BIGINT NOT NULL REFERENCES lane,
    provider    TEXT COLLATE "C" NOT NULL,
    account_key TEXT COLLATE "C" NOT NULL,
    amount      TEXT COLLATE "C" NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    credited_at BIGINT
);
CREATE UNIQUE INDEX archived_reference_once ON archived_reference (md5(reference));
CREATE INDEX archived_reference_found ON archived_reference USING hash (reference);

-- The clients that archived rows have credited. The amount is to be compared, and no money.
CREATE TABLE archived_client (
    lane        BIGINT NOT NULL REFERENCES lane,
    account_key TEXT COLLATE "C" NOT NULL,
    currency    TEXT COLLATE "C" NOT NULL,
    largest     DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (lane, account_key, currency)
);

-- What transfer_reference_spent forbids between rows is forbidden for archived ones, too. Rows move there while no
-- other transaction runs, so whoever looks sees a reference here or there.
CREATE FUNCTION refuse_archived_reference() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM archived_reference WHERE reference = NEW.reference) THEN
        RAISE unique_violation USING CONSTRAINT = 'transfer_reference_spent', MESSAGE = 'the reference is archived';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER transfer_reference_archived BEFORE UPDATE OF state ON transfer FOR EACH ROW
    WHEN (NEW.reference IS NOT NULL
        AND (NEW.state = 'sending' OR NEW.state = 'in_doubt' OR NEW.state = 'credited')
        AND NOT (OLD.state = 'sending' OR OLD.state = 'in_doubt' OR OLD.state = 'credited'))
    EXECUTE FUNCTION refuse_archived_reference();
CREATE TRIGGER transfer_reference_archived_new BEFORE INSERT ON transfer FOR EACH ROW
    WHEN (NEW.reference IS NOT NULL
        AND (NEW.state = 'sending' OR NEW.state = 'in_doubt' OR NEW.state = 'credited'))
    EXECUTE FUNCTION refuse_archived_reference();
