-- What happens after the run: verdicts of many kinds, their trail, and what was read for them.

-- Each decision, for ever. `hash` covers the entry and the hash before it; ledger/audit.py says how.
CREATE TABLE audit (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    user        TEXT NOT NULL,
    host        TEXT NOT NULL,
    what        TEXT NOT NULL,
    batch       TEXT NOT NULL,            -- its name, or '' for the whole ledger
    row         INTEGER,
    transfer_id TEXT NOT NULL DEFAULT '',
    was         TEXT NOT NULL DEFAULT '', -- the state before
    settled_by  TEXT NOT NULL DEFAULT '',
    note        TEXT NOT NULL DEFAULT '',
    known       TEXT NOT NULL DEFAULT '', -- JSON: what the decision rests on
    hash        TEXT NOT NULL
) STRICT;
CREATE INDEX audit_batch ON audit (batch);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;
CREATE TRIGGER audit_is_not_cut BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit trail only grows'); END;

INSERT INTO audit SELECT *, audit_hash(id, at, user, host, what, batch, row, transfer_id, was, settled_by,
    note, known) FROM (
    SELECT row_number() OVER (ORDER BY v.id) AS id, v.at AS at, v.user AS user, v.host AS host,
        v.verdict AS what, b.name AS batch, t.row AS row,
        't-' || (SELECT value FROM meta WHERE key = 'id') || '-' || t.id
            || CASE WHEN t.generation > 1 THEN '.' || t.generation ELSE '' END AS transfer_id,
        v.was AS was, 'person' AS settled_by, v.note AS note, '' AS known
    FROM verdict v JOIN transfer t ON t.id = v.transfer JOIN batch b ON b.id = t.batch ORDER BY v.id);

ALTER TABLE transfer ADD COLUMN verdict_at INTEGER; -- since when a verdict counts it as credited
ALTER TABLE transfer ADD COLUMN former_id TEXT;     -- the transfer_id that another ledger gave it
UPDATE transfer SET verdict_at = (SELECT max(at) FROM verdict v WHERE v.transfer = transfer.id
    AND v.verdict = 'credited') WHERE id IN (SELECT transfer FROM verdict);
DROP TABLE verdict;

-- Another ledger sends what is left of a closed batch; this one never again.
ALTER TABLE batch ADD COLUMN closed_at INTEGER;
ALTER TABLE batch ADD COLUMN closed_why TEXT NOT NULL DEFAULT '';

ALTER TABLE run ADD COLUMN approval TEXT NOT NULL DEFAULT ''; -- how a person agreed to it

-- The reseller's own balance around a run, where the provider tells.
CREATE TABLE own_balance (
    id       INTEGER PRIMARY KEY,
    batch    INTEGER NOT NULL REFERENCES batch,
    lane     INTEGER NOT NULL REFERENCES lane,
    moment   TEXT NOT NULL CHECK (moment = 'before' OR moment = 'after'),
    at       INTEGER NOT NULL,
    amount   TEXT NOT NULL,
    currency TEXT NOT NULL                -- '' where the provider counts in units of its own
) STRICT;
CREATE INDEX own_balance_batch ON own_balance (batch);

-- The balances of clients before a run, read on demand.
CREATE TABLE snapshot (
    lane        INTEGER NOT NULL REFERENCES lane,
    account_key TEXT NOT NULL,
    at          INTEGER NOT NULL,
    batch       INTEGER NOT NULL REFERENCES batch,
    amount      TEXT NOT NULL,
    currency    TEXT NOT NULL,
    PRIMARY KEY (lane, account_key, at)
) STRICT, WITHOUT ROWID;
CREATE INDEX snapshot_batch ON snapshot (batch);
