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
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)


class LimitKeys(_Keys):
    """`[limits]`: for each currency the most that may be sent."""

    max_amount: dict[Currency, Limit] = {}
    max_account: dict[Currency, Limit] = {}
    max_total: dict[Currency, Limit] = {}
    max_day: dict[Currency, Limit] = {}


class ReconcileKeys(_Keys):
    """`[reconcile]`."""

    quiet: Seconds = "15m"  # type: ignore[assignment]  # read like an operator's


class TopKeys(_Keys):
    """A settings file. The profiles are read one by one, so that all of their faults are found."""

    ledger: Annotated[str, AfterValidator(_ledger)] | None = None
    repeat_window: Seconds = "6d"  # type: ignore[assignment]
    timezone: Annotated[ZoneInfo, PlainValidator(values.timezone)] = "UTC"  # type: ignore[assignment]
    max_pause: Seconds = "15m"  # type: ignore[assignment]
    outage_wait: Seconds = "15m"  # type: ignore[assignment]
    limits: LimitKeys = LimitKeys()
    reconcile: ReconcileKeys = ReconcileKeys()
    providers: dict[str, dict[str, Any]] = {}


class ProfileKeys(_Keys):
    """The keys that every profile may have; what is None follows the adapter or is left out."""

    kind: str
    base_url: Annotated[str, PlainValidator(values.base_url)] | None = None
    rate: Annotated[Rate | None, PlainValidator(values.rate)] = "5/s"  # type: ignore[assignment]
    concurrency: Annotated[int, Number, Field(ge=1, le=1024)] = 8
    timeout: Annotated[float, Number, Field(ge=1, le=600, allow_inf_nan=False)] = 30
    attempts: Annotated[int, Number, Field(ge=1, le=100)] = 5
    in_doubt_limit: Annotated[int, Number, Field(ge=1, le=1_000_000)] = 5
    ca_file: Path | None = None
    proxy: Annotated[str, PlainValidator(values.proxy)] | None = None
    transport: Literal["direct", "httpx"] | None = None
    currency: Currency | None = None
    map: Annotated[dict[str, str], AfterValidator(_columns)] = {}
    thousands: Annotated[str, PlainValidator(values.thousands)] | None = None
