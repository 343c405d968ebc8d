"""A provider profile: one login at one provider, with its adapter and what it may cost the provider."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from batchcredit.engine.limiter import Rate
from batchcredit.errors import RefusedError
from batchcredit.ledger.base import LaneIdentity
from batchcredit.providers import registry
from batchcredit.providers.base import Provider
from batchcredit.settings.faults import sentence
from batchcredit.settings.sources import PREFIX
from batchcredit.settings.values import is_loopback
from batchcredit.settings.values import rate as read_rate

_STAND_IN = "sandbox"
_REHEARSAL_KEY = "rehearsal"  # another word, because secrets are struck out of messages


@dataclass(frozen=True, slots=True)
class Profile:
    """One `[providers.NAME]`. `base_url` is the identity; `wire_url` is where requests really go.

    `rate` is None where none is set, which only loopback addresses may have. `proxy` may hold a password.
    `own` has the adapter's keys, every text of them wrapped as a secret.
    """

    name: str
    kind: str
    base_url: str
    wire_url: str
    login: str
    rate: Rate | None
    concurrency: int
    timeout_s: float
    attempts: int
    in_doubt_limit: int
    ca_file: Path | None
    proxy: SecretStr | None
    transport: str | None
    currency: str | None
    map: Mapping[str, str]
    thousands: str | None
    adapter: type[Provider] = field(repr=False)
    own: Mapping[str, Any] = field(repr=False)

    @property
    def lane(self) -> LaneIdentity:
        """What a batch keeps and a ledger remembers of this profile."""
        return LaneIdentity(self.kind, self.base_url, self.login)

    @property
    def is_loopback(self) -> bool:
        """Whether its requests stay on this machine, so that no money can move."""
        return is_loopback(self.wire_url)

    @property
    def uses_httpx(self) -> bool:
        """Whether requests go through stock httpx, as a proxy needs it, and not through our own wire."""
        return self.transport == "httpx" or self.proxy is not None

    def provider(self) -> Provider:
        """Its adapter with this login. Raises RefusedError where its own keys, or its secret, do not do."""
        problems: list[str] = []
        try:
            return self.adapter(self.base_url, self.adapter.settings.model_validate(plain(self.own)))
        except ValidationError as error:
            problems = [
                f"{'.'.join((*self._place, *map(str, place)))}: {what}" for place, what in told(error)
            ]
        except RefusedError as error:
            raise RefusedError(
                f"{'.'.join(self._place)}: {error}", reason=error.reason, cure=self._by_name(error.cure)
            ) from None
        raise RefusedError("; ".join(problems), reason="settings", cure=self._cure)

    @property
    def _place(self) -> tuple[str, str]:
        return ("providers", self.name)

    def _by_name(self, cure: str) -> str:
        """The adapter's words, with the names that its secrets have in the environment."""
        for key in sorted(secret_keys(self.adapter.settings), key=len, reverse=True):
            variable = f"{PREFIX}PROVIDERS__{self.name}__{key}".upper()
            cure = cure.replace(f"set {key} in the environment", f"export {variable}")
        return cure

    @property
    def _cure(self) -> str:
        return f"mend [providers.{self.name}], or set BATCHCREDIT_PROVIDERS__{self.name.upper()}__<KEY>"


def told(error: ValidationError) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each fault's place and sentence, never its value."""
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        yield tuple(map(str, found["loc"])), sentence(found["type"], found["msg"])


def plain(own: Mapping[str, Any]) -> dict[str, Any]:
    """The adapter's keys as they were written: for the adapter's model and nothing else."""
    return {
        key: value.get_secret_value() if isinstance(value, SecretStr) else value for key, value in own.items()
    }


def secret_keys(settings: type[BaseModel]) -> frozenset[str]:
    """The keys whose values are secrets, by the types that the adapter declares."""
    return frozenset(key for key, info in settings.model_fields.items() if _mentions_secret(info.annotation))


def _mentions_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(_mentions_secret, get_args(annotation)))


def without_secrets(adapter: type[Provider], own: Mapping[str, Any]) -> dict[str, Any]:
    """The adapter's keys with a stand-in for each secret: enough to know the login, of no use to a thief."""
    secrets = secret_keys(adapter.settings)
    files = {f"{key}_file" for key in secrets}
    kept = {key: value for key, value in own.items() if key not in secrets | files}
    return kept | {key: SecretStr(_REHEARSAL_KEY) for key in secrets}


def with_sandbox(profile: Profile, base_url: str) -> Profile:
    """The same lane, played by a sandbox on this machine. No secret of the operator is given to it."""
    own = without_secrets(profile.adapter, profile.own)
    own = _completed(profile.adapter.settings, own)
    rehearsed = replace(profile, wire_url=base_url.rstrip("/"), ca_file=None, proxy=None, own=own)
    return replace(rehearsed, login=profile.login or rehearsed.provider().login)


def _completed(settings: type[BaseModel], own: Mapping[str, Any]) -> dict[str, Any]:
    needed = {
        key: info for key, info in settings.model_fields.items() if info.is_required() and key not in own
    }
    return {**own, **{key: _stand_in(info) for key, info in needed.items()}}


def _stand_in(info: FieldInfo) -> object:
    return info.examples[0] if info.examples else _STAND_IN


def default_profile(kind: str) -> Profile:
    """A profile named like its kind, for a rehearsal of a file before anything is configured.

    Its login is made up: it is of use with `with_sandbox` only. Raises RefusedError for an unknown kind.
    """
    adapter = registry.load(kind)
    own = _completed(adapter.settings, without_secrets(adapter, {}))
    base_url = adapter.default_base_url or f"https://{kind}.invalid"
    provider = adapter(base_url, adapter.settings.model_validate(plain(own)))
    return Profile(
        name=kind,
        kind=kind,
        base_url=base_url,
        wire_url=base_url,
        login=provider.login,
        rate=read_rate(adapter.default_rate),
        concurrency=adapter.default_concurrency,
        timeout_s=30.0,
        attempts=5,
        in_doubt_limit=5,
        ca_file=None,
        proxy=None,
        transport=None,
        currency=None,
        map={},
        thousands=None,
        adapter=adapter,
        own=own,
    )


def lowered(profile: Profile, concurrency: int | None, rate: Rate | None) -> Profile:
    """The profile with these as upper bounds; None leaves its own value. A value is never raised."""
    slower = (
        rate if rate and (not profile.rate or rate.exact_per_s < profile.rate.exact_per_s) else profile.rate
    )
    fewer = min(profile.concurrency, concurrency or profile.concurrency)
    return replace(profile, concurrency=fewer, rate=slower)
