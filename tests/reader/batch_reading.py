"""Profiles to read by, and an examination in one call."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batchcredit.providers.base import Rules
from batchcredit.reader import ProfileRules, ReadOptions, Survey, Worksheet, examine

CLICKSEND = ProfileRules(
    name="clicksend",
    kind="clicksend",
    rules=Rules(
        account="[1-9][0-9]{0,18}",
        account_cure="digits, the first of them not 0",
        decimals=4,
        columns={"client_user_id": "account"},
    ),
)
KENYA = ProfileRules(
    name="kenya",
    kind="fastmessage",
    rules=Rules(
        account=".{1,128}",
        account_cure="the client's username",
        decimals=2,
        currencies=frozenset({"KES"}),
        default_currency="KES",
        columns={"childID": "account"},
    ),
    account_key=lambda account: unicodedata.normalize("NFC", account.casefold()),
    lowers_ascii=True,
)
PROFILES = {profile.name: profile for profile in (CLICKSEND, KENYA)}


class Reading:
    """A batch that was examined: what was found, and its rows."""

    def __init__(self, survey: Survey, rows: list[dict[str, Any]], cells: list[dict[str, Any]]) -> None:
        self.survey, self.rows, self.cells = survey, rows, cells

    @property
    def problems(self) -> list[str | None]:
        return [row["problem"] for row in self.rows]


def read(
    path: Path,
    profiles: Mapping[str, ProfileRules] = PROFILES,
    **options: Any,
) -> Reading:
    """Examines `path` and collects its rows."""
    with Worksheet() as worksheet:
        survey = examine(path, ReadOptions(**options), profiles, worksheet)
        rows: list[dict[str, Any]] = []
        cells: list[dict[str, Any]] = []
        for chunk in worksheet.chunks():
            rows += chunk.rows.to_dicts()
            cells += chunk.cells.to_dicts()
    return Reading(survey, rows, cells)
