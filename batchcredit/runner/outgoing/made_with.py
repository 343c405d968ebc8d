"""What a run is made with, as a ledger keeps it beside the run: never a secret, nor where the ledger is."""

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from importlib.metadata import version

from batchcredit.engine.lane import Lane
from batchcredit.runner.options import SendOptions
from batchcredit.runner.outgoing.desk import Desk
from batchcredit.settings import Profile, Settings
from batchcredit.transfer import shortest

#: What was typed beside the settings: option -> flag.
_FLAGS = {
    "canary": "--canary",
    "limit": "--limit",
    "wait_funds_s": "--wait-funds",
    "allow_repeat": "--allow-repeat",
    "skip_repeats": "--skip-repeats",
    "allow_currency_mismatch": "--allow-currency-mismatch",
    "skip_preflight": "--skip-preflight",
    "online": "--online",
    "snapshot": "--snapshot",
    "rejected": "--include rejected",
}


@dataclass(frozen=True, slots=True)
class MadeWith:
    """`settings` are names and texts, `expected_totals` amounts as exact text by currency. All of it is empty
    where a run was begun by a batchcredit that did not keep it."""

    command: str = ""
    version: str = ""
    python: str = ""
    platform: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    expected_rows: int | None = None
    expected_totals: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> "MadeWith":
        """What `as_text` gave, or "". A later batchcredit may have kept more."""
        kept = json.loads(text) if text else {}
        return cls(**{name: kept[name] for name in cls.__dataclass_fields__ if name in kept})

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    def rate(self, profile: str) -> str:
        """The limit of a lane as it was written, or "" where none is known."""
        return self.settings.get(f"{profile}.rate", "")


def made_with(desk: Desk, opened: Sequence[Lane]) -> MadeWith:
    """What the run that begins now is made with."""
    how = desk.how
    lanes = (setting for lane in opened for setting in _of_profile(desk.known[lane.profile]))
    return MadeWith(
        command=how.command,
        version=version("batchcredit"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        settings=dict([*lanes, *_of_settings(desk.settings), *_of_flags(how)]),
        expected_rows=how.expect_rows,
        expected_totals=_texts(how.expect_totals),
    )


def _of_profile(profile: Profile) -> Iterator[tuple[str, str]]:
    known = {
        "rate": str(profile.rate or "none"),
        "concurrency": str(profile.concurrency),
        "timeout": f"{profile.timeout_s:g} s",
        "attempts": str(profile.attempts),
        "in_doubt_limit": str(profile.in_doubt_limit),
        "transport": "httpx" if profile.uses_httpx else "direct",
    }
    for name, text in known.items():
        yield f"{profile.name}.{name}", text


def _of_settings(settings: Settings) -> Iterator[tuple[str, str]]:
    yield "max_pause", f"{settings.max_pause_s} s"
    yield "outage_wait", f"{settings.outage_wait_s} s"
    yield "repeat_window", f"{settings.repeat_window_ms // 1000} s"
    for limit, amounts in asdict(settings.limits).items():
        for currency, text in _texts(amounts).items():
            yield f"limits.{limit}.{currency}", text


def _of_flags(how: SendOptions) -> Iterator[tuple[str, str]]:
    for name, flag in _FLAGS.items():
        value = getattr(how, name)
        if value:
            yield flag, "yes" if value is True else f"{value} s" if name.endswith("_s") else f"{value}"


def _texts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: shortest(amount) for currency, amount in amounts.items()}
