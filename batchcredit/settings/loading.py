"""From the sources to settings that hold together, or to a refusal that names everything wrong in them."""

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import platformdirs
from pydantic import SecretStr, ValidationError

from batchcredit.errors import RefusedError
from batchcredit.ledger import registry as ledgers
from batchcredit.ledger.base import Caps, LaneIdentity
from batchcredit.providers import registry
from batchcredit.providers.base import Provider
from batchcredit.settings.faults import Faults
from batchcredit.settings.keys import LimitKeys, ProfileKeys, ReconcileKeys, TopKeys
from batchcredit.settings.profile import Profile, plain, secret_keys, told, without_secrets
from batchcredit.settings.sources import Place, changeable_by_all, gathered
from batchcredit.settings.values import is_loopback, nearest

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_COMMON = frozenset(ProfileKeys.model_fields)
_TABLES = {
    (): tuple(TopKeys.model_fields),
    ("limits",): tuple(LimitKeys.model_fields),
    ("reconcile",): tuple(ReconcileKeys.model_fields),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be sent, by currency: one transfer, one client and day, one batch, one day."""

    max_amount: Mapping[str, Decimal]
    max_account: Mapping[str, Decimal]
    max_total: Mapping[str, Decimal]
    max_day: Mapping[str, Decimal]

    def __bool__(self) -> bool:
        """Whether the operator has set any."""
        return any((self.max_amount, self.max_account, self.max_total, self.max_day))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was set. `source` is the file it came from; `ledger` is None where none was named."""

    source: Path | None
    ledger: str | None
    repeat_window_ms: int
    max_pause_s: int
    outage_wait_s: int
    quiet_ms: int
    timezone: ZoneInfo
    limits: Limits
    profiles: Mapping[str, Profile]

    @property
    def ledger_url(self) -> str:
        """The live ledger: the one that was named, else a file in the user's data directory."""
        return self.ledger or _in_data_folder("ledger.db")

    @property
    def sandbox_ledger_url(self) -> str:
        """The ledger of rehearsals, which is never the live one."""
        return _in_data_folder("sandbox.db")

    @property
    def caps(self) -> Caps:
        """The limits as a ledger checks them."""
        limits = self.limits
        return Caps(
            self.day_start_ms, limits.max_amount, limits.max_account, limits.max_total, limits.max_day
        )

    def profile(self, name: str) -> Profile:
        """The profile of this name. Raises RefusedError, with the nearest one, where there is none."""
        if name in self.profiles:
            return self.profiles[name]
        likely = nearest(name, list(self.profiles))
        configured = ", ".join(sorted(self.profiles)) or "none"
        raise RefusedError(
            f"no provider profile is named {name!r}; configured are: {configured}",
            reason="unknown_provider",
            cure=f"did you mean {likely}?" if likely else self._where_to_add(name),
        )

    def _where_to_add(self, name: str) -> str:
        if self.source or self.profiles:
            return f"add [providers.{name}] to the settings"
        return "batchcredit init asks for what it needs and writes it"

    def provider(self, name: str) -> Provider:
        """The adapter of a profile, with its login and secret. Raises RefusedError where these do not do."""
        return self.profile(name).provider()

    def day_start_ms(self, at_ms: int) -> int:
        """When the day of this moment began in the operator's time zone, whatever its clocks did since."""
        day = datetime.fromtimestamp(at_ms / 1000, self.timezone).date()
        # fold=0: where midnight comes twice, the first; where it is skipped, the moment of the skip
        return round(datetime.combine(day, time(), self.timezone).timestamp() * 1000)


def load(
    config: Path | Mapping[str, Any] | None, ledger: str | None, environ: Mapping[str, str], cwd: Path
) -> Settings:
    """Read the settings: `config` and `ledger` are the command line's, or None. A mapping stands in the place
    of a file.

    Raises RefusedError with every fault of the file and the environment, by file or variable, and key.
    """
    sources = gathered(config, ledger, environ, cwd)
    faults = Faults(sources)
    tree = sources.merged()
    top = _top(tree, faults)
    if ledgers.has_password(str(sources.toml.get("ledger"))):
        _check_readers((), tree, frozenset({"ledger"}), faults)
    tables = tree.get("providers")
    profiles = _profiles(tables if isinstance(tables, Mapping) else {}, faults, cwd)
    faults.refuse()
    assert top is not None
    return _settings(sources.path, top, profiles)


def _settings(path: Path | None, top: TopKeys, profiles: Mapping[str, Profile]) -> Settings:
    return Settings(
        source=path,
        ledger=top.ledger,
        repeat_window_ms=top.repeat_window * 1000,
        max_pause_s=top.max_pause,
        outage_wait_s=top.outage_wait,
        quiet_ms=top.reconcile.quiet * 1000,
        timezone=top.timezone,
        limits=Limits(**dict(top.limits)),
        profiles=profiles,
    )


def _in_data_folder(name: str) -> str:
    return f"sqlite:///{platformdirs.user_data_path('batchcredit') / name}"


def _top(tree: Mapping[str, Any], faults: Faults) -> TopKeys | None:
    try:
        return TopKeys.model_validate(tree)
    except ValidationError as error:
        faults.add_invalid((), error, _TABLES)
    return None


def _profiles(tables: Mapping[str, Any], faults: Faults, cwd: Path) -> dict[str, Profile]:
    read = {
        name: profile
        for name, table in tables.items()
        if isinstance(table, Mapping) and (profile := _profile(name, table, faults, cwd)) is not None
    }
    _refuse_twins(read, faults)
    return read


def _profile(name: str, table: Mapping[str, Any], faults: Faults, cwd: Path) -> Profile | None:
    place = ("providers", name)
    if not _NAME.fullmatch(name):
        faults.add(place, "no name for a profile: write small letters and digits, words joined by one _")
    own = {key: value for key, value in table.items() if key not in _COMMON}
    if "kind" not in table and not faults.sources.stands_in_file(place):
        faults.add(
            place, f"no settings file has [providers.{name}]: batchcredit init writes one, or unset it"
        )
        return None
    keys = _keys(place, {key: value for key, value in table.items() if key in _COMMON}, faults)
    adapter = _adapter(place, table, faults)
    if adapter is None:
        return None
    before = len(faults.lines)
    _check_own(place, adapter, own, faults)
    _check_readers(place, table, secret_keys(adapter.settings), faults)
    if keys is None:
        return None
    base_url = keys.base_url or adapter.default_base_url
    _check_together(place, keys, base_url, faults)
    _check_ca_file((*place, "ca_file"), keys.ca_file, faults, cwd)
    login = _login(adapter, base_url, own) if len(faults.lines) == before else ""
    return _assembled(name, keys, adapter, base_url, login, own, cwd)


def _keys(place: tuple[str, str], table: Mapping[str, Any], faults: Faults) -> ProfileKeys | None:
    try:
        return ProfileKeys.model_validate(plain(table))
    except ValidationError as error:
        faults.add_invalid(place, error, {(): tuple(_COMMON)})
    return None


def _adapter(place: tuple[str, str], table: Mapping[str, Any], faults: Faults) -> type[Provider] | None:
    kind = plain(table).get("kind")
    if not isinstance(kind, str):
        return None
    try:
        return registry.load(kind)
    except RefusedError as error:
        faults.add((*place, "kind"), f"{error}; {error.cure}")
    return None


def _check_readers(place: Place, table: Mapping[str, Any], secrets: frozenset[str], faults: Faults) -> None:
    """A secret in the file is for its owner's eyes, even where the environment has a stronger value."""
    if not faults.sources.readable_by_others:
        return
    proxied = {"proxy"} if "@" in str(plain(table).get("proxy")) else set()
    for key in sorted(secrets | proxied):
        if faults.sources.stands_in_file((*place, key)):
            cure = f"chmod 600 {faults.sources.path}"
            faults.add((*place, key), f"a secret in a file that other users can read: {cure}")


def _check_own(
    place: tuple[str, str], adapter: type[Provider], own: Mapping[str, Any], faults: Faults
) -> None:
    """The adapter's keys, but for what is missing: only a profile that is used needs its login and secret."""
    known = set(adapter.settings.model_fields)
    for key in sorted(own.keys() - known):
        faults.add_unknown((*place, key), known | _COMMON)
    for key in sorted(secret_keys(adapter.settings) & own.keys()):
        if not isinstance(own[key], SecretStr):
            faults.add((*place, key), "it has to be text: write it in quotes")
    present = {key: own[key] for key in own.keys() & known}
    try:
        adapter.settings.model_validate(plain(without_secrets(adapter, present)))
    except ValidationError as error:
        for below, what in told(error):
            if below[:1] and below[0] in present:
                faults.add((*place, *below), what)


def _check_together(place: tuple[str, str], keys: ProfileKeys, base_url: str, faults: Faults) -> None:
    if not base_url:
        faults.add((*place, "base_url"), "it is needed here: this kind has no address of its own")
    elif "rate" in keys.model_fields_set and keys.rate is None and not is_loopback(base_url):
        faults.add(
            (*place, "rate"), '"none" is for this machine\'s own addresses only: write a rate such as "10/s"'
        )
    if keys.proxy and is_loopback(base_url):
        faults.add((*place, "proxy"), "a proxy takes requests for this machine elsewhere: remove it")
    if keys.proxy and keys.transport == "direct":
        faults.add((*place, "transport"), 'only httpx can go through a proxy: remove it, or write "httpx"')


def _check_ca_file(place: Place, ca_file: Path | None, faults: Faults, cwd: Path) -> None:
    path = cwd / ca_file.expanduser() if ca_file else None
    if path and not (path.is_file() and os.access(path, os.R_OK)):
        faults.add(place, f"{path} can not be read: name a file of certificates")
    elif path and changeable_by_all(path.stat().st_mode):
        faults.add(place, f"every user of this machine can change {path}: chmod o-w {path}")


def _login(adapter: type[Provider], base_url: str, own: Mapping[str, Any]) -> str:
    """The login, known without the secret; "" where it is not set."""
    try:
        settings = adapter.settings.model_validate(plain(without_secrets(adapter, own)))
        return adapter(base_url, settings).login
    except (ValidationError, RefusedError):
        return ""


def _assembled(
    name: str,
    keys: ProfileKeys,
    adapter: type[Provider],
    base_url: str,
    login: str,
    own: Mapping[str, Any],
    cwd: Path,
) -> Profile:
    chosen = keys.model_fields_set
    defaults = ProfileKeys(
        kind=keys.kind,
        rate=adapter.default_rate,  # type: ignore[arg-type]  # read like an operator's
        concurrency=adapter.default_concurrency,
    )
    return Profile(
        name=name,
        kind=keys.kind,
        base_url=base_url,
        wire_url=base_url,
        login=login,
        rate=keys.rate if "rate" in chosen else defaults.rate,
        concurrency=keys.concurrency if "concurrency" in chosen else defaults.concurrency,
        timeout_s=keys.timeout,
        attempts=keys.attempts,
        in_doubt_limit=keys.in_doubt_limit,
        ca_file=cwd / keys.ca_file.expanduser() if keys.ca_file else None,
        proxy=SecretStr(keys.proxy) if keys.proxy else None,
        transport=keys.transport,
        currency=keys.currency,
        map=keys.map,
        thousands=keys.thousands,
        adapter=adapter,
        own=own,
    )


def _refuse_twins(profiles: Mapping[str, Profile], faults: Faults) -> None:
    names: defaultdict[LaneIdentity, list[str]] = defaultdict(list)
    for profile in profiles.values():
        if profile.login:
            names[profile.lane].append(profile.name)
    for first, *others in names.values():
        for other in others:
            faults.add(
                ("providers", other),
                f"the same kind, base_url and login as profile {first}: keep one of them",
            )
