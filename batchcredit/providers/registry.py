"""From a profile's `kind` to its adapter, by the entry point group `batchcredit.providers`.

The adapters that are part of this package come through the same door as anybody's.
"""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from pydantic import BaseModel

from batchcredit.errors import RefusedError
from batchcredit.providers.base import Provider, Rules

GROUP = "batchcredit.providers"


def installed() -> Mapping[str, str]:
    """Every kind that is installed, with the distribution it comes from; imports none of them."""
    return {kind: _origins(points) for kind, points in sorted(_found().items())}


def load(kind: str) -> type[Provider]:
    """The adapter of this kind; only its module is imported.

    Raises RefusedError where no or more than one distribution has it, or where it breaks the promise.
    """
    found = _found()
    if kind not in found:
        raise _unknown(kind, sorted(found))
    points = found[kind]
    if len(points) > 1:
        raise _broken(kind, points, "more than one distribution has an adapter of that name")
    adapter = _imported(points[0])
    if (breach := _breach(kind, adapter)) is not None:
        raise _broken(kind, points, breach)
    assert isinstance(adapter, type)
    return adapter


def _found() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        found.setdefault(point.name, []).append(point)
    return found


def _imported(point: EntryPoint) -> object:
    try:
        return point.load()
    except Exception as error:
        raise _broken(point.name, [point], f"it can not be imported: {error!r}") from error


def _breach(kind: str, adapter: object) -> str | None:
    """How `adapter` breaks the promise of `base.Provider`, or None."""
    if not isinstance(adapter, type) or not issubclass(adapter, Provider):
        return "it is not a subclass of batchcredit.providers.base.Provider"
    if inspect.isabstract(adapter):
        return f"it lacks {', '.join(sorted(adapter.__abstractmethods__))}"
    if getattr(adapter, "kind", None) != kind:
        return f"its kind is {getattr(adapter, 'kind', None)!r}, not the name of its entry point"
    settings = getattr(adapter, "settings", None)
    if not isinstance(settings, type) or not issubclass(settings, BaseModel):
        return "its settings are not a pydantic model"
    if not isinstance(getattr(adapter, "rules", None), Rules):
        return "its rules are not a batchcredit.providers.base.Rules"
    return None


def _unknown(kind: str, kinds: list[str]) -> RefusedError:
    nearest = get_close_matches(kind, kinds, n=1)
    cure = f"did you mean {nearest[0]}?" if nearest else "install the adapter's package, or mend the kind"
    return RefusedError(
        f"no adapter of kind {kind!r} is installed; known are {', '.join(kinds) or 'none'}",
        reason="unknown_kind",
        cure=cure,
    )


def _broken(kind: str, points: list[EntryPoint], breach: str) -> RefusedError:
    return RefusedError(
        f"the adapter {kind!r} of {_origins(points)} can not be used: {breach}",
        reason="broken_adapter",
        cure=f"update or remove {_origins(points)}",
    )


def _origins(points: list[EntryPoint]) -> str:
    return " and ".join(sorted(_origin(point) for point in points))


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
