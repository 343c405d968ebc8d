"""docs/reasons.md has every reason word of the code, and no other."""

import re
from pathlib import Path

from reason_words import literals, reason_words

import batchcredit
from batchcredit.reader import PROBLEMS
from batchcredit.runner.advice import REFUSALS

PACKAGE = Path(batchcredit.__file__).parent
DOC = PACKAGE.parent / "docs" / "reasons.md"


def documented() -> dict[str, str]:
    """Each word that begins a row of a table, and that row."""
    found = re.findall(r"^\| `([a-z_]+)` (\|.*)$", DOC.read_text(), re.MULTILINE)
    assert len(found) == len(dict(found)), "a word has two rows"
    return dict(found)


def test_every_reason_of_the_code_is_explained() -> None:
    """A word that a user can meet stands in the document."""
    assert reason_words(PACKAGE) - documented().keys() == set()


def test_no_explained_reason_is_dead() -> None:
    """A word of the document can be said by the code."""
    text = literals(PACKAGE)
    made = {word for word in reason_words(PACKAGE) if word.startswith("limit_")}
    dead = {word for word in documented() if word not in made and not re.search(rf"\b{word}\b", text)}
    assert dead == set()


def test_the_collector_sees_each_way_of_saying_a_reason() -> None:
    """One word of each syntactic form is found, so that a blind collector is noticed."""
    forms = {"settings", "timeout", "open_elsewhere", "redirect", "wallet_empty", "encoding", "other_account"}
    forms |= {"wrong_address", "stopped", "sending", "verdict", "same_reference", "limit_max_day", "sandbox"}
    forms |= {"rate_limited", "duplicate_rows", "tls_untrusted", "not_simulated", "account_form"}
    assert forms <= reason_words(PACKAGE)


def test_invalid_rows_are_explained_in_the_words_of_the_program() -> None:
    """Meaning and cure of each invalid row are those that the screen shows."""
    rows = documented()
    for word, problem in PROBLEMS.items():
        assert rows[word] == f"| {problem.meaning} | {problem.cure} |"


def test_refused_rows_are_explained_in_the_words_of_the_program() -> None:
    """Meaning and cure of each row that a provider refuses are those of the list of rows to fix."""
    rows = documented()
    for word, problem in REFUSALS.items():
        assert rows[word] == f"| no | {problem.meaning} | {problem.cure} |"
