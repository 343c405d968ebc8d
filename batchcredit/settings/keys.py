"""The keys that a settings file may have, with their defaults: everything but an adapter's own keys."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from batchcredit.engine.limiter import Rate
from batchcredit.errors import RefusedError
from batchcredit.ledger import registry
from batchcredit.settings import values
from batchcredit.transfer import KNOWN_COLUMNS

Seconds = Annotated[int, PlainValidator(values.duration_s)]
Limit = Annotated[Decimal, PlainValidator(values.limit)]
Currency = Annotated[str, PlainValidator(values.currency)]
Number = BeforeValidator(values.number)


def _ledger(url: str) -> str:
    try:
        registry.check(url)
    except RefusedError as error:
        raise ValueError(f"{error}: {error.cure}") from None
    return url


def _columns(names: dict[str, str]) -> dict[str, str]:
    for ours in names:
        if ours not in KNOWN_COLUMNS:
            likely = values.nearest(ours, list(KNOWN_COLUMNS))
            hint = f"did you mean {likely}?" if likely else f"write one of {', '.join(KNOWN_COLUMNS)}"
            raise ValueError(f"{ours!r} is none of our columns (map is {{ ours = theirs }}): {hint}")
    if len(set(names.values())) < len(names) or not all(names.values()):
        raise ValueError("each of our columns needs another one of the file: name no column twice")
    return names


class _Keys(BaseModel):
    """The docstring of a key is its line in the README and in a file that `init` writes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class LimitKeys(_Keys):
    """`[limits]`: for each currency the most that may be sent."""

    max_amount: dict[Currency, Limit] = {}
    """the most for one transfer, by currency: `{ USD = "500" }`"""
    max_account: dict[Currency, Limit] = {}
    """the most for one client and day"""
    max_total: dict[Currency, Limit] = {}
    """the most for one batch"""
    max_day: dict[Currency, Limit] = {}
    """the most for the whole ledger and day"""


class ReconcileKeys(_Keys):
    """`[reconcile]`."""

    quiet: Seconds = "15m"  # type: ignore[assignment]  # read like an operator's
    """no verdict "not credited" sooner after the attempt"""


class TopKeys(_Keys):
    """A settings file. The profiles are read one by one, so that all of their faults are found."""

    ledger: Annotated[str, AfterValidator(_ledger)] | None = None
    """the ledger, `sqlite:///path/ledger.db`"""
    repeat_window: Seconds = "6d"  # type: ignore[assignment]
    """so long after it was credited, an equal row of another batch is a repeat"""
    timezone: Annotated[ZoneInfo, PlainValidator(values.timezone)] = "UTC"  # type: ignore[assignment]
    """what a day is, for `max_day` and `max_account`; times on the screen"""
    max_pause: Seconds = "15m"  # type: ignore[assignment]
    """a provider that asks for a longer wait halts its lane"""
    outage_wait: Seconds = "15m"  # type: ignore[assignment]
    """so long an unreachable lane is probed before it halts"""
    limits: LimitKeys = LimitKeys()
    reconcile: ReconcileKeys = ReconcileKeys()
    providers: dict[str, dict[str, Any]] = {}


class ProfileKeys(_Keys):
    """The keys that every profile may have; what is None follows the adapter or is left out."""

    kind: str
    """`clicksend`, `fastmessage`, or an adapter you installed"""
    base_url: Annotated[str, PlainValidator(values.base_url)] | None = None
    """https; plain http only to this machine"""
    rate: Annotated[Rate | None, PlainValidator(values.rate)] = "5/s"  # type: ignore[assignment]
    """requests begun, `N/s`, `N/min` or `N/h`"""
    concurrency: Annotated[int, Number, Field(ge=1, le=1024)] = 8
    """requests in flight"""
    timeout: Annotated[float, Number, Field(ge=1, le=600, allow_inf_nan=False)] = 30
    """seconds for one whole request"""
    attempts: Annotated[int, Number, Field(ge=1, le=100)] = 5
    """tries in one run of a row that could not be connected"""
    in_doubt_limit: Annotated[int, Number, Field(ge=1, le=1_000_000)] = 5
    """so many doubtful endings in a row halt the lane"""
    ca_file: Path | None = None
    """a PEM file to trust instead"""
    proxy: Annotated[str, PlainValidator(values.proxy)] | None = None
    """`http://host:port`; proxies of the environment are not used"""
    transport: Literal["direct", "httpx"] | None = None
    """who speaks HTTP: our own wire, or stock httpx, which is slower and just as careful"""
    currency: Currency | None = None
    """for rows whose cell is empty"""
    map: Annotated[dict[str, str], AfterValidator(_columns)] = {}
    """our column = theirs: `{ account = "client_id" }`"""
    thousands: Annotated[str, PlainValidator(values.thousands)] | None = None
    """what stands between thousands in amounts"""
