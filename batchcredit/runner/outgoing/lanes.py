"""From the profiles that a batch names to the lanes of this ledger, and to open lanes."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from batchcredit import host
from batchcredit.engine.lane import Lane, LanePolicy
from batchcredit.engine.limiter import Pace
from batchcredit.engine.shared_pace import SharedPace
from batchcredit.engine.wire.base import Wire
from batchcredit.engine.wire.direct import DirectWire
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import BatchLane, LaneRecord, Ledger, LedgerReader
from batchcredit.ledger.journal import Journal, Reserved, reserve
from batchcredit.providers.base import Provider
from batchcredit.reader import ProfileRules
from batchcredit.runner.attendant import Attendant
from batchcredit.runner.options import SendOptions
from batchcredit.sandbox.process import SIMULATED_KINDS
from batchcredit.settings import Profile, Settings, default_profile, lowered


@dataclass(frozen=True, slots=True)
class Way:
    """One profile of a batch: its lane in this ledger, None as long as the ledger has not seen it."""

    profile: Profile
    lane: LaneRecord | None


def lane_ids(ways: Mapping[str, Way]) -> dict[str, int]:
    """The lane of each profile; below zero where this ledger has not seen it, and so has no rows of it."""
    return {name: way.lane.id if way.lane else -number for number, (name, way) in enumerate(ways.items(), 1)}


def profiles(settings: Settings, how: SendOptions) -> dict[str, Profile]:
    """The profiles that rows may name, with the command line's lower bounds. A rehearsal also knows each kind
    that can be simulated by its own name, so that it needs no settings."""
    known = dict(settings.profiles)
    if how.sandbox:
        known = {**{kind: default_profile(kind) for kind in SIMULATED_KINDS if kind not in known}, **known}
    if not known:
        raise RefusedError(
            "no provider profile is configured",
            reason="settings",
            cure="batchcredit init asks for what it needs and writes it; or rehearse with --sandbox",
        )
    for name in how.accept_profiles - known.keys():
        raise RefusedError(
            f"--accept-profile {name}: no profile of that name is configured",
            reason="usage",
            cure=f"configured: {', '.join(sorted(known))}",
        )
    return {name: lowered(profile, how.concurrency, how.rate) for name, profile in known.items()}


def rules(known: Mapping[str, Profile]) -> dict[str, ProfileRules]:
    """What the reader has to know of each profile."""
    return {name: _rules(profile) for name, profile in known.items()}


def _rules(profile: Profile) -> ProfileRules:
    adapter = profile.adapter
    own_key = adapter.account_key.__func__ is not Provider.account_key.__func__  # type: ignore[attr-defined]
    return ProfileRules(
        name=profile.name,
        kind=profile.kind,
        rules=adapter.rules,
        account_key=adapter.account_key if own_key else None,
        lowers_ascii=adapter.lowers_ascii,
        currency=profile.currency or "",
        columns=profile.map,
        thousands=profile.thousands or "",
    )


def is_live(names: Iterable[str], known: Mapping[str, Profile], how: SendOptions) -> bool:
    """Whether these profiles move real money. A batch is one or the other."""
    live = {name: not (how.sandbox or known[name].is_loopback) for name in names if name in known}
    if len(set(live.values())) > 1:
        raise RefusedError(
            "one batch names both real providers and addresses of this machine: "
            + ", ".join(f"{name} ({'live' if one else 'test'})" for name, one in live.items()),
            reason="live_and_test",
            cure="split the file, or mend base_url in the settings",
        )
    return any(live.values())


def ways(
    names: Sequence[str],
    known: Mapping[str, Profile],
    ledger: LedgerReader,
    kept: Sequence[BatchLane],
    how: SendOptions,
) -> dict[str, Way]:
    """The lane of each profile that a batch names. A batch keeps its lanes: another identity under a
    profile's name is refused, unless it was accepted by name."""
    by_profile = {lane.profile: lane.lane for lane in kept}
    found = {}
    for name in names:
        profile = _configured(name, known)
        was = by_profile.get(name)
        if was and was.identity != profile.lane and name not in how.accept_profiles:
            raise RefusedError(
                f"profile {name} was {was.identity.login} at {was.identity.base_url} when this batch was "
                f"enrolled; now it is {profile.lane.login} at {profile.lane.base_url}",
                reason="other_lane",
                cure=f"mend the settings, or accept the new one: --accept-profile {name}",
            )
        found[name] = Way(profile, ledger.lane(profile.lane))
    return found


def _configured(name: str, known: Mapping[str, Profile]) -> Profile:
    if name not in known:
        raise RefusedError(
            f"the batch names profile {name}, which is not configured",
            reason="unknown_provider",
            cure=f"add [providers.{name}] to the settings; configured: {', '.join(sorted(known)) or 'none'}",
        )
    return known[name]


def confirm_new(found: Mapping[str, Way], how: SendOptions, attendant: Attendant, settings: Settings) -> None:
    """A live lane that this ledger has not seen is confirmed before the first request, probes included."""
    for name, way in found.items():
        if way.lane is None:
            _confirm(name, way.profile, how, attendant, settings)


def _confirm(name: str, profile: Profile, how: SendOptions, attendant: Attendant, settings: Settings) -> None:
    if name in how.accept_profiles:
        return
    if not how.yes and attendant.accept_lane(name, profile.lane, settings.source):
        return
    lane = profile.lane
    raise RefusedError(
        f"this ledger has never sent through profile {name} ({lane.login} at {lane.base_url})",
        reason="new_lane",
        cure=f"if it is the right one: --accept-profile {name}",
    )


def opened(
    records: Mapping[str, LaneRecord],
    known: Mapping[str, Profile],
    settings: Settings,
    dice: random.Random,
    wait_funds_s: float = 0,
    ledger: Ledger | None = None,
) -> list[Lane]:
    """Lanes ready to send, to be closed with `close_all`. Adapters are built here: secrets are needed now.

    They keep to the schedule of `ledger`, where several processes share it."""
    return [
        _opened(name, record, known[name], settings, dice, wait_funds_s, ledger)
        for name, record in records.items()
    ]


def _opened(
    name: str,
    record: LaneRecord,
    profile: Profile,
    settings: Settings,
    dice: random.Random,
    wait_funds_s: float,
    ledger: Ledger | None,
) -> Lane:
    provider = profile.provider()
    readable = provider.own_balance() is not None
    lane = Lane(
        profile=name,
        record=record,
        provider=provider,
        wire=_wire(profile),
        pace=_pace(profile, record, ledger),
        policy=_policy(profile, settings, wait_funds_s if readable else 0),
        dice=dice,
    )
    if record.paused_until_ms:
        lane.pause(min(settings.max_pause_s, (record.paused_until_ms - host.now_ms()) / 1000))
    return lane


def _pace(profile: Profile, record: LaneRecord, ledger: Ledger | None) -> Pace | SharedPace:
    if profile.rate and ledger and ledger.is_shared:
        return SharedPace(profile.rate, partial(_reserve, ledger, record.id))
    return Pace(profile.rate, _wait_s(record, profile))


async def _reserve(ledger: Ledger, lane: int, *wanted: *tuple[int, int, int, int]) -> Reserved:
    return reserve(ledger, lane, *wanted)


@contextmanager
def through(journal: Journal, lanes: Iterable[Lane]) -> Iterator[None]:
    """Lanes that share their pace reserve by this journal, as long as it has the ledger."""
    shared = [(lane.record.id, lane.pace) for lane in lanes if isinstance(lane.pace, SharedPace)]
    directly = [pace.reserve for _, pace in shared]
    for lane, pace in shared:
        pace.reserve = partial(journal.reserve, lane)
    try:
        yield
    finally:
        for (_, pace), before in zip(shared, directly, strict=True):
            pace.reserve = before


def _wait_s(record: LaneRecord, profile: Profile) -> float:
    """A restart grants no second burst: the ledger knows when the lane was used last."""
    if not record.last_sent_ms or not profile.rate:
        return 0.0
    spacing_s = 1 / profile.rate.per_second
    return min(spacing_s, max(0.0, spacing_s - (host.now_ms() - record.last_sent_ms) / 1000))


def _policy(profile: Profile, settings: Settings, wait_funds_s: float) -> LanePolicy:
    return LanePolicy(
        concurrency=profile.concurrency,
        timeout_s=profile.timeout_s,
        attempts=profile.attempts,
        in_doubt_limit=profile.in_doubt_limit,
        max_pause_s=settings.max_pause_s,
        outage_wait_s=settings.outage_wait_s,
        wait_funds_s=wait_funds_s,
    )


def _wire(profile: Profile) -> Wire:
    if not profile.uses_httpx:
        return DirectWire(profile.wire_url, profile.ca_file)
    from batchcredit.engine.wire.stock import HttpxWire  # its import takes long, and few need it

    proxy = profile.proxy.get_secret_value() if profile.proxy else None
    return HttpxWire(profile.wire_url, profile.concurrency, profile.ca_file, proxy)


async def close_all(lanes: Iterable[Lane]) -> None:
    """Close the connections."""
    for lane in lanes:
        await lane.wire.aclose()


def host_of(base_url: str) -> str:
    """The host of an address, for a person to recognise."""
    return urlsplit(base_url).netloc
