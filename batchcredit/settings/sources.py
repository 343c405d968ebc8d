"""Where settings come from: the command line, the environment, one TOML file. And who set which key."""

import errno
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import SecretStr
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from batchcredit.errors import RefusedError
from batchcredit.providers.credential import readable_by_others

PREFIX = "BATCHCREDIT_"
_CONFIG = f"{PREFIX}CONFIG"
_FILE_NAME = "batchcredit.toml"
_FILE_BYTES = 1 << 20

#: Where tomllib quotes a key, in whose place a secret may have slipped.
_QUOTED_KEY = re.compile(r"""\((['"]).*\1,?\)|(?<=key )['"].*['"](?= \(at )""")

#: The keys from the top of the tree down to one value.
Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """The three layers, strongest first, as trees; their values are not shown in a repr."""

    given: Mapping[str, Any] = field(repr=False)
    environment: Mapping[str, Any] = field(repr=False)
    toml: Mapping[str, Any] = field(repr=False)
    variables: Mapping[Place, str]
    path: Path | None
    readable_by_others: bool

    def merged(self) -> dict[str, Any]:
        """One tree: tables are merged key by key, and the strongest layer's value counts."""
        layers = (self.given, self.environment, self.toml)

        class Layered(BaseSettings):
            model_config = SettingsConfigDict(extra="allow", hide_input_in_errors=True)

            @classmethod
            def settings_customise_sources(
                cls, settings_cls: type[BaseSettings], *_: Any, **__: Any
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return tuple(InitSettingsSource(settings_cls, dict(layer)) for layer in layers)

        return dict(Layered().model_extra or {})

    def origin(self, place: Place) -> str:
        """The variable, option or file that set this key, or in which it is missing."""
        if place[:1] == ("ledger",) and "ledger" in self.given:
            return "--ledger"
        if (variable := self._variable(place)) is not None:
            return variable
        return str(self.path) if self.path else "the environment"

    def _variable(self, place: Place) -> str | None:
        exact = (name for path, name in self.variables.items() if place[: len(path)] == path)
        below = (name for path, name in self.variables.items() if path[: len(place)] == place)
        found = next(exact, None)
        return found if found or is_set(self.toml, place) else next(below, None)

    def stands_in_file(self, place: Place) -> bool:
        """Whether the TOML file has this key, whatever counts in the end."""
        return is_set(self.toml, place)


def is_set(tree: object, place: Place) -> bool:
    """Whether a tree has a key at this place."""
    for key in place:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True


def gathered(
    config: Path | Mapping[str, Any] | None, ledger: str | None, environ: Mapping[str, str], cwd: Path
) -> Sources:
    """Read all layers; a mapping stands in a file's place. Raises RefusedError where the file can't be read,
    or is no TOML."""
    environment, variables = _environment(environ)
    given = {} if ledger is None else {"ledger": ledger}
    if isinstance(config, Mapping):
        return Sources(given, environment, _guarded(config), variables, None, readable_by_others=False)
    named = config or (Path(environ[_CONFIG]) if environ.get(_CONFIG) else None)
    path = cwd / named.expanduser() if named else _found(cwd)
    toml, open_to_others = _read(path, was_named=bool(named)) if path else ({}, False)
    return Sources(given, environment, _guarded(toml), variables, path, open_to_others)


def _found(cwd: Path) -> Path | None:
    usual = (cwd / _FILE_NAME, platformdirs.user_config_path("batchcredit") / _FILE_NAME)
    return next((path for path in usual if path.exists()), None)


def _read(path: Path, *, was_named: bool) -> tuple[dict[str, Any], bool]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its writer for ever
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_FILE_BYTES + 1) if stat.S_ISREG(status.st_mode) else None
    except OSError as error:
        cure = (
            "name the file that you have, or batchcredit init writes one"
            if error.errno == errno.ENOENT
            else ""
        )
        problem = f"{path}: the settings can not be read: {error.strerror}"
        raise _refused(problem, cure or "mend its permissions, or name another with --config") from None
    if content is None or len(content) > _FILE_BYTES:
        raise _refused(f"{path}: it is no regular file of at most 1 MiB", "name a settings file")
    _refuse_strangers(path, status, was_named=was_named)
    return _parsed(path, content), readable_by_others(status.st_mode)


def _refuse_strangers(path: Path, status: os.stat_result, *, was_named: bool) -> None:
    """Whoever can say where requests go, or whom to trust, is given the secrets of the environment."""
    if changeable_by_all(status.st_mode):
        raise _refused(f"{path}: every user of this machine can change it", f"chmod o-w {path}")
    if not was_named and status.st_uid not in (0, os.geteuid()):
        raise _refused(f"{path}: it belongs to another user", f"if you trust it: --config {path}")


def changeable_by_all(mode: int) -> bool:
    """Whether any user may write to a file of this `st_mode`, on systems that have such modes."""
    return os.name == "posix" and bool(mode & stat.S_IWOTH)


def _parsed(path: Path, content: bytes) -> dict[str, Any]:
    problem = ""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problem = f"it is not UTF-8 (at line {line})"
    except tomllib.TOMLDecodeError as error:
        problem = f"it is no TOML: {_QUOTED_KEY.sub('***', str(error))}"
    except RecursionError:
        problem = "it is no TOML of ours: its tables or lists are nested too deep"
    raise _refused(f"{path}: {problem}", "mend that line")


def _environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[Place, str]]:
    tree: dict[str, Any] = {}
    variables: dict[Place, str] = {}
    for name in sorted(environ):
        place = _place(name)
        if place and environ[name]:  # an empty variable is one that is not set
            variables[place] = name
            _put(tree, place, environ[name])
    return _guarded(tree), variables


def _place(name: str) -> Place:
    upper = name.upper()
    if not upper.startswith(PREFIX) or upper == _CONFIG:
        return ()
    place = tuple(upper.removeprefix(PREFIX).lower().split("__"))
    # the environment has no small letters to speak of, and a currency no others than capitals
    return (*place[:2], place[2].upper()) if place[0] == "limits" and len(place) == 3 else place


def _put(tree: dict[str, Any], place: Place, value: str) -> None:
    node: Any = tree
    for key in place[:-1]:
        node = node.setdefault(key, {})
        if not isinstance(node, dict):  # its parent has a value of its own, which will be refused
            return
    node.setdefault(place[-1], value)


def _guarded(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Wrap what a profile holds: before its adapter is asked, any text in it may be a secret."""
    profiles = tree.get("providers")
    if not isinstance(profiles, Mapping):
        return dict(tree)
    return {**tree, "providers": {name: _wrapped(profile) for name, profile in profiles.items()}}


def _wrapped(profile: object) -> object:
    if not isinstance(profile, Mapping):
        return profile
    return {key: SecretStr(value) if isinstance(value, str) else value for key, value in profile.items()}


def _refused(problem: str, cure: str) -> RefusedError:
    return RefusedError(problem, reason="settings", cure=cure)
