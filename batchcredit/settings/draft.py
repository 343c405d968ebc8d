"""A first settings file: every key with its meaning, set, or with its default behind a #."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from batchcredit import host
from batchcredit.errors import RefusedError, StorageError
from batchcredit.providers.base import Provider
from batchcredit.settings.keys import LimitKeys, ProfileKeys, ReconcileKeys, TopKeys
from batchcredit.settings.loading import Settings, load
from batchcredit.settings.profile import secret_keys, told
from batchcredit.settings.sources import PREFIX

_HEAD = """\
# Settings of batchcredit. Every key stands here with what it means; behind a # it has its default.
# Secrets do not belong here: they come from the environment, or from a file that only you can read.
"""

_TABLES = ("limits", "reconcile", "providers")


@dataclass(frozen=True, slots=True)
class ProfileDraft:
    """One login that is to be written. `own` are the adapter's keys that were given."""

    name: str
    adapter: type[Provider]
    base_url: str
    own: Mapping[str, str] = field(default_factory=dict)

    @property
    def from_environment(self) -> tuple[str, ...]:
        """The variables that have to hold the secrets for which no file is named."""
        secrets = sorted(secret_keys(self.adapter.settings))
        missing = [key for key in secrets if f"{key}_file" not in self.own]
        return tuple(f"{PREFIX}PROVIDERS__{self.name}__{key}".upper() for key in missing)


@dataclass(frozen=True, slots=True)
class Draft:
    """What was answered. `limits`: key -> currency -> amount, as text."""

    profiles: tuple[ProfileDraft, ...]
    limits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    timezone: str = "UTC"
    ledger: str | None = None

    def __str__(self) -> str:
        """The file."""
        top = {"ledger": self.ledger, "timezone": self.timezone}
        keys = {key: info for key, info in TopKeys.model_fields.items() if key not in _TABLES}
        parts = [
            _HEAD,
            *_lines(keys, {key: value for key, value in top.items() if value}),
            "[limits]",
            *_lines(LimitKeys.model_fields, self.limits),
            "[reconcile]",
            *_lines(ReconcileKeys.model_fields, {}),
        ]
        for profile in self.profiles:
            parts += [f"[providers.{profile.name}]", *_profile_lines(profile)]
        return "\n".join(parts)


def own_fields(adapter: type[Provider]) -> dict[str, FieldInfo]:
    """The keys that an adapter needs and that may be asked for on a screen."""
    fields = adapter.settings.model_fields
    secrets = secret_keys(adapter.settings)
    return {key: info for key, info in fields.items() if info.is_required() and key not in secrets}


def fault_of(settings: type[BaseModel], key: str, value: str) -> str:
    """What an adapter's model has against one value, or ""."""
    try:
        settings.model_validate({key: value})
    except ValidationError as error:
        return next((what for place, what in told(error) if place[:1] == (key,)), "")
    return ""


def write_draft(draft: Draft, path: Path, secrets: Mapping[Path, str]) -> Settings:
    """Write the settings and the files of secrets, each readable by its owner alone; all of them, or none.

    They are loaded before they get their name. Raises RefusedError where a file stands there already or the
    settings do not hold, StorageError where the disk refuses.
    """
    made: list[Path] = []
    try:
        for place, secret in secrets.items():
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_new(place, secret + "\n", made)
        _write_proven(draft, path, made)
        return load(path, None, os.environ, path.parent)
    except BaseException as error:
        for each in made:
            each.unlink(missing_ok=True)
        if isinstance(error, OSError):
            named = Path(error.filename or path)
            raise _unwritable(path if named == _part_of(path) else named, error) from error
        raise


def _write_proven(draft: Draft, path: Path, made: list[Path]) -> None:
    part = _part_of(path)
    _write_new(part, str(draft), made)
    load(part, None, {}, path.parent)
    try:
        os.link(part, path)  # unlike a rename it never takes another file's place
    except FileExistsError:
        raise refused_existing(path) from None
    made.append(path)
    part.unlink()
    host.sync_folder(path.parent)


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _write_new(path: Path, text: str, made: list[Path]) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise refused_existing(path) from None
    made.append(path)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def refused_existing(path: Path) -> RefusedError:
    """Another file is there: it stays as it is."""
    return RefusedError(
        f"{path} is there already, and is not overwritten",
        reason="out_exists",
        cure="change that one, or name another with --out FILE",
    )


def _unwritable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path}: it could not be written: {error.strerror or error}",
        reason="out_unwritable",
        cure="mend that, or name another place with --out FILE",
    )


def _profile_lines(profile: ProfileDraft) -> Iterator[str]:
    adapter = profile.adapter
    own, common = adapter.settings.model_fields, dict(ProfileKeys.model_fields)
    secrets = secret_keys(adapter.settings)
    first = {key: common.pop(key) for key in ("kind", "base_url")}
    yield from _lines(first, {"kind": adapter.kind, "base_url": profile.base_url})
    yield from _lines({key: info for key, info in own.items() if key not in secrets}, profile.own)
    for variable in profile.from_environment:
        yield f"# Its secret comes from the environment: {variable}\n"
    yield from _lines(common, {"rate": adapter.default_rate, "concurrency": adapter.default_concurrency})


def _lines(fields: Mapping[str, FieldInfo], values: Mapping[str, object]) -> Iterator[str]:
    """Each key with its meaning above it; behind a # where it is not set."""
    for key, info in fields.items():
        meaning = f"# {info.description}\n" if info.description else ""
        if key in values:
            yield f"{meaning}{key} = {_toml(values[key])}\n"
        else:
            default = "" if info.is_required() or not info.default else f" {_toml(info.default)}"
            yield f"{meaning}# {key} ={default}\n"


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value}"
