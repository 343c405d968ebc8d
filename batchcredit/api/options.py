"""What a program asks for, in the words of the command line: `--expect-rows 3` is `expect_rows=3`."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypedDict

from batchcredit.ledger import registry
from batchcredit.reader import ReadOptions
from batchcredit.runner.options import InputOptions, SendOptions
from batchcredit.settings import duration_s, rate

Name = str | PathLike[str]


class InputChoices(TypedDict, total=False):
    """How a file is understood."""

    batch: str
    provider: str
    map: Mapping[str, str]
    sheet: str
    thousands: str
    currency: str
    skip_invalid: bool
    allow_duplicates: bool


class SendChoices(TypedDict, total=False):
    """What has to hold before anything is sent, and how it is sent. A total is a Decimal or text, never a
    float; `rate` is text such as "10/s", `wait_funds` such as "2h"."""

    out: Name
    sandbox: bool
    new_ledger: bool
    accept_profile: str | list[str] | tuple[str, ...]
    allow_repeat: bool
    skip_repeats: bool
    allow_currency_mismatch: bool
    online: bool
    skip_preflight: bool
    snapshot: bool
    canary: int
    limit: int
    expect_rows: int
    expect_total: Mapping[str, Decimal | str]
    concurrency: int
    rate: str
    wait_funds: str


class Choices(InputChoices, SendChoices, total=False):
    """All of them, for a file: `plan` is one that somebody has checked."""

    plan: Name


def input_options(path: Path, choices: Mapping[str, Any], frame: Path | None = None) -> InputOptions:
    """Of these choices those that say how a file is understood. `frame` holds the rows where `path` is only
    what they are called."""
    read = ReadOptions(
        choices.get("provider"),
        dict(choices.get("map", {})),
        choices.get("thousands", ""),
        choices.get("currency", ""),
        choices.get("sheet", ""),
        frame,
    )
    return InputOptions(
        path,
        read,
        choices.get("batch"),
        skip_invalid=choices.get("skip_invalid", False),
        allow_duplicates=choices.get("allow_duplicates", False),
        origin="a frame" if frame else "",
    )


def send_options(
    command: str, choices: Mapping[str, Any], config: object, ledger: str | None, **known: Any
) -> SendOptions:
    """Of these choices those that say how it is sent. Nobody is asked, so all that --yes needs is needed."""
    if ledger:
        registry.check(ledger)
    plain = {name: choices[name] for name in _PLAIN if name in choices}
    return SendOptions(
        command=command,
        yes=True,
        approval="by a program",
        out=_path(choices.get("out")),
        plan=_path(choices.get("plan")),
        accept_profiles=frozenset(_names(choices.get("accept_profile", ()))),
        expect_totals={name: _exact(amount) for name, amount in choices.get("expect_total", {}).items()},
        rate=rate(choices["rate"]) if "rate" in choices else None,
        wait_funds_s=duration_s(choices["wait_funds"]) if "wait_funds" in choices else 0,
        ledger_url=ledger or "",
        again=_again(config, ledger, sandbox=choices.get("sandbox", False)),
        **plain,
        **known,
    )


_PLAIN = (
    *("sandbox", "new_ledger", "allow_repeat", "skip_repeats", "allow_currency_mismatch", "online"),
    *("skip_preflight", "snapshot", "canary", "limit", "expect_rows", "concurrency"),
)


def refuse_slips(call: str, given: Mapping[str, Any], known: type) -> None:
    """A keyword that nothing reads is a slip, which could be one about money; so is "no", which is true."""
    for name, value in given.items():
        if name not in known.__annotations__:
            raise TypeError(f"{call}() got an unexpected keyword argument {name!r}")
        kind = known.__annotations__[name]
        if kind in (bool, int, str) and value is not None and type(value) is not kind:
            raise TypeError(f"{call}(): {name} is {kind.__name__}, not {value!r}")


def _names(given: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _path(given: Name | None) -> Path | None:
    return None if given is None else Path(fspath(given))


def _exact(amount: Decimal | str | int) -> Decimal:
    if isinstance(amount, float):
        raise TypeError("a total is exact: give a Decimal or text, not a float")
    try:
        total = Decimal(amount)
    except InvalidOperation:
        total = Decimal("NaN")
    if not total.is_finite():
        raise ValueError(f"expect_total: {amount!r} is no amount")
    return total


def _again(config: object, ledger: str | None, *, sandbox: bool) -> tuple[str, ...]:
    """The flags that name the same settings and ledger in the next command, where flags can."""
    named = ("--config", fspath(config)) if isinstance(config, str | PathLike) else ()
    shown = ("--ledger", registry.shown(ledger)) if ledger else ()
    return (*named, *shown, *(("--sandbox",) if sandbox else ()))
