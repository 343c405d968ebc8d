"""No question that is asked often reads what it does not need: the plans of the hot queries."""

import re
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from ledger_parts import Row, drive, enrol

from batchcredit.ledger.base import HistoryQuery
from batchcredit.ledger.sql import ledger as sql_ledger
from batchcredit.ledger.sql import reader, sending
from batchcredit.ledger.sqlite.ledger import SqliteLedger
from batchcredit.ledger.sqlite.reader import SqliteReader
from batchcredit.transfer import State

ACCOUNT = "INDEX transfer_content (account_key=? AND amount=? AND currency=?)"
ROWID = "INTEGER PRIMARY KEY (rowid=?)"
BATCH_ROW = "INDEX sqlite_autoindex_transfer_1 (batch=?"

ACCOUNT_KEY = "INDEX transfer_content (account_key=?)"
OF_HISTORY = [f"SEARCH b USING {ROWID}", "INDEX run_batch (batch=?)"]


def history(account_keys: tuple[str, ...], reference: str | None = None) -> str:
    """The query of a history, as it is asked."""
    where, _ = reader._sought(HistoryQuery(account_keys, reference))
    return reader._HISTORY + where + reader._NEWEST_FIRST


#: Each hot query, and what its plan has to name.
PLANS = {
    "claim": (sending.CLAIM, [f"SEARCH t USING {ROWID}", f"SEARCH o USING {ACCOUNT}"]),
    "held up": (sending.HELD_UP_BY, [f"SEARCH t USING {ROWID}", f"SEARCH o USING {ACCOUNT}"]),
    "hold back": (sending.HOLD_BACK, [f"SEARCH transfer USING {ROWID}"]),
    "settle": (sending.SETTLE, [f"SEARCH transfer USING {ROWID}"]),
    "candidates": (sending.CANDIDATES, [f"{BATCH_ROW} AND row>?)"]),
    "of account": (reader._OF_ACCOUNT, ["INDEX transfer_content (account_key=?"]),
    "rows": (reader._ROWS, [f"{BATCH_ROW} AND row>? AND row<?)", "SEARCH bl USING PRIMARY KEY"]),
    "tallies": (reader._TALLIES, [f"{BATCH_ROW})"]),
    "same content": (reader._MATCH_CONTENT, [f"SEARCH o USING {ACCOUNT}"]),
    "same reference": (reader._MATCH_REFERENCE, ["INDEX transfer_reference (reference=?)"]),
    "by reference": (sql_ledger._BY_REFERENCE, [f"{BATCH_ROW})", "SEARCH o USING INDEX transfer_"]),
    "archived reference": (reader._MATCH_ARCHIVED, ["SEARCH o USING PRIMARY KEY (reference=?)"]),
    "by archive": (sql_ledger._BY_ARCHIVE, [f"{BATCH_ROW})", "SEARCH o USING PRIMARY KEY (reference=?)"]),
    "by content": (sql_ledger._BY_CONTENT, [f"{BATCH_ROW})", f"SEARCH o USING {ACCOUNT}"]),
    "history of an account": (history(("anna", "ANNA")), [ACCOUNT_KEY, *OF_HISTORY]),
    "history of a reference": (history((), "r"), ["INDEX transfer_reference (reference=?)", *OF_HISTORY]),
    "to doubt": (sending.TO_DOUBT, ["INDEX transfer_in_flight"]),
}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    """A ledger with a few rows in it."""
    held = SqliteLedger.hold(tmp_path / "ledger.db", "run")
    drive(held, enrol(held, "b", [Row(reference="r"), Row(account="B")]), [State.CREDITED])
    yield held
    held.close()


def plan(ledger: SqliteLedger, sql: str) -> str:
    """What SQLite does for a query, one step a line."""
    numbers = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    bindings = (None,) * (max(numbers) if numbers else sql.count("?"))
    return "\n".join(row[3] for row in ledger._connection.execute("EXPLAIN QUERY PLAN " + sql, bindings))


@pytest.mark.parametrize("name", PLANS)
def test_hot_queries_use_their_index(name: str, ledger: SqliteLedger) -> None:
    """Each goes to its rows at once: nothing scans the table of transfers."""
    sql, wanted = PLANS[name]
    steps = plan(ledger, sql)
    assert all(part in steps for part in wanted), steps
    assert not re.search(r"SCAN (o|t|transfer)(?! USING (COVERING )?INDEX transfer_in_flight)\b", steps), (
        steps
    )
    assert "AUTOMATIC" not in steps, steps


def test_plans_do_not_look_at_values(ledger: SqliteLedger) -> None:
    """Else SQLite may plan a query anew each time that it is bound: this cost more than all the rest."""
    assert ledger._connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1)
    reader = SqliteReader.open(ledger._path)
    assert reader._connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1)
    reader.close()


def test_checks_of_each_row_build_no_lists(ledger: SqliteLedger) -> None:
    """A list in a CHECK or in an index's condition is built anew for each row: more than half its cost."""
    texts = [
        sql
        for (sql,) in ledger._all("SELECT sql FROM sqlite_schema WHERE tbl_name = 'transfer' AND sql <> ''")
    ]
    conditions = [
        text.partition("CHECK (state")[2] if "CREATE TABLE" in text else text.partition("WHERE")[2]
        for text in texts
    ]
    assert len(texts) >= 5
    assert not any(re.search(r"\bIN\s*\(", condition) for condition in conditions), conditions
