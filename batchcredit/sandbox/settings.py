"""Everything about the simulated providers that can be set, at the start and while they run."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from batchcredit.sandbox.faults import Fault
from batchcredit.sandbox.names import folded

Money = Annotated[Decimal, Field(ge=0, max_digits=24, decimal_places=6)]
Delay = Annotated[float, Field(ge=0, le=600)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Status = Annotated[int, Field(ge=200, le=599)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AccountSettings(_Strict):
    """One client. What is left out follows the rule for accounts that nobody configured."""

    opening: Money | None = None
    currency: Currency | None = None
    state: Literal["open", "unknown", "closed"] = "open"


class SandboxSettings(_Strict):
    """How the providers behave. Without any of it both are correct, quick and generous.

    Where a provider's own page leaves a question open, the answer is a setting here, so that a test can ask
    it both ways; the default is the likeliest.
    """

    seed: int = 0
    """Opening balances, drawn faults and jitter follow from it."""

    # Who may come in, and whom they may credit.
    logins: dict[str, str] | None = Field(default=None, repr=False, max_length=10_000)
    """Username or partner id to secret. None lets everybody in."""
    wallet: Money = Decimal(10**12)
    """What each login has to give away. Setting it again gives every login that much from then on."""
    wallet_currency: Currency = "AUD"
    accounts: dict[str, AccountSettings] | None = Field(default=None, max_length=1_000_000)
    """The clients there are. None: all of them, except ClickSend ids that end in 0404 (unknown) or 0403
    (banned), and Fast Message names that begin with `unknown` or `closed`."""
    listed: tuple[str, ...] = Field(default=(), max_length=1_000_000)
    """ClickSend ids that the list of clients shows beside those configured or credited."""
    currency: Currency | None = None
    """The ClickSend clients' currency. None: whatever the last transfer said."""

    # ClickSend, as far as only a live account could tell.
    clicksend_decimals: int = Field(default=4, ge=0, le=6)
    """More decimals in an amount are refused as a bad request."""
    clicksend_fractions: Literal["accepted", "refused", "truncated"] = "accepted"
    clicksend_mismatch: Literal["as_is", "convert", "refuse"] = "as_is"
    """A transfer in another currency than the client's: the bare number, its worth, or a bad request."""
    rates: dict[Currency, Decimal] = {
        "AUD": Decimal(1),
        "USD": Decimal("1.50"),
        "EUR": Decimal("1.65"),
        "GBP": Decimal("1.95"),
        "NZD": Decimal("0.90"),
    }
    """AUD for one unit of a currency; what is missing counts 1."""
    clicksend_poor_status: Status = 400
    clicksend_poor_code: str = "INSUFFICIENT_CREDIT"
    clicksend_unknown_status: Status = 404
    clicksend_unknown_code: str = "NOT_FOUND"
    account_rate_limit: int = Field(default=0, ge=0)
    """Requests for the own account in each `rate_window_s`; 0 is no limit. Seen live: 20 in 60 s."""

    # Fast Message, as far as only a live account could tell.
    sms_rate: Annotated[Decimal, Field(gt=0)] = Decimal(1)
    """Shillings for one unit."""
    fastmessage_unit_decimals: int = Field(default=2, ge=0, le=2)
    fastmessage_rounding: Literal["half_up", "down", "up"] = "half_up"
    fastmessage_balances: Literal["client", "reseller"] = "client"
    """Whose balances the answer to a transfer shows."""
    fastmessage_error_status: Status = 200
    fastmessage_poor_code: int = 1004
    fastmessage_unknown_code: int = 1005

    # Limits, time and faults, for both.
    rate_limit: int = Field(default=0, ge=0)
    """Transfers of one login in each `rate_window_s`; 0 is no limit."""
    rate_window_s: float = Field(default=60.0, gt=0, le=3600)
    retry_after_s: float = Field(default=1.0, ge=0, le=86_400)
    """What the fault status_429 asks for; a real limit asks for the rest of its window."""
    retry_after_form: Literal["seconds", "date", "none"] = "seconds"
    latency_s: Delay = 0.0
    """From the execution to the answer."""
    jitter_s: Delay = 0.0
    late_s: Delay = 5.0
    """For the faults late and late_before."""
    keep_alive_s: Delay = 15.0
    """An idle connection is closed after so long."""
    fault_rates: dict[Fault, Annotated[float, Field(ge=0, le=1)]] = {}
    """Probability of each fault. Which request it meets depends on seed, login, account and the how-manieth
    request for that account it is, and on nothing else."""
    keep_book: Literal["full", "totals"] = "full"
    """`totals` keeps counts and sums only, for long runs."""
    book_rows: int = Field(default=5_000_000, gt=0)
    """A full book refuses further transfers with status 503."""

    @field_validator("accounts")
    @classmethod
    def _one_spelling(cls, accounts: dict[str, AccountSettings] | None) -> dict[str, AccountSettings] | None:
        return None if accounts is None else {folded(name): client for name, client in accounts.items()}

    @model_validator(mode="after")
    def _probabilities_leave_room(self) -> Self:
        if sum(self.fault_rates.values()) > 1 + 1e-9:
            raise ValueError("the probabilities in fault_rates add up to more than 1")
        return self
