"""init: the first settings file, asked for step by step."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from batchcredit.cli.flags import Common, Yes
from batchcredit.cli.session import console_of, put, without_batch
from batchcredit.errors import RefusedError

if TYPE_CHECKING:
    from batchcredit.providers.base import Provider
    from batchcredit.settings.draft import Draft, ProfileDraft

_COMMON = Common()
_FILE = Path("batchcredit.toml")
_DEMO = Path("demo.csv")

#: What is proposed for one transfer and for one batch. A person agrees to it or types another.
_PROPOSED = {"max_amount": {"": "500", "KES": "50000"}, "max_total": {"": "20000", "KES": "2000000"}}
_LIMITS = {
    "max_amount": "More than this is refused. The most for one transfer",
    "max_total": "The most for one batch",
}

_AS_WRITTEN = "together they are written USD:500, KES:50000"

_DEMO_ROWS = """\
provider,account,amount,currency,reference
clicksend,100001,50.00,USD,demo-1
clicksend,100002,12.5,USD,demo-2
fastmessage,shop1,1500,KES,demo-3
fastmessage,shop2,250,KES,demo-4
"""


def init(
    *,
    provider: Annotated[
        tuple[str, ...],
        Parameter(negative=(), metavar="KIND", help="A provider you have a login at. Repeatable."),
    ] = (),
    set: Annotated[  # noqa: A002  the flag is called so
        tuple[str, ...],
        Parameter(
            negative=(),
            metavar="PROFILE.KEY=VALUE",
            help="Answers one question, such as clicksend.username=shop or limits.max_total=USD:20000. "
            "Repeatable. Never a secret.",
        ),
    ] = (),
    demo: Annotated[
        bool, Parameter(negative=(), help="Write a small file to rehearse with, and no settings.")
    ] = False,
    out: Annotated[
        Path | None, Parameter(metavar="FILE", help="Where to write, else batchcredit.toml here.")
    ] = None,
    yes: Yes = False,
    common: Common = _COMMON,
) -> int:
    """Write a settings file, with every key explained.

    It asks which providers you use, your logins there, and the most that may be sent. A secret is typed
    without being shown, and kept in a file that only you can read; or it stays in the environment. Nothing is
    overwritten, and nothing is written before the end. With --yes it asks nothing, and takes defaults.
    """
    from batchcredit.settings.draft import refused_existing, write_draft

    path = (out or (_DEMO if demo else _FILE)).absolute()
    if path.exists():
        raise refused_existing(path)
    if demo:
        return _written(_write_demo(path), [("batchcredit", "run", str(out or _DEMO), "--sandbox")], common)
    console = console_of(common)
    answers = _Answers(_given(set), yes)
    if not yes:
        console.note("Enter takes what stands in [ ]. Nothing is written before the end; Ctrl-C ends it.")
    draft, secrets = _asked_for(provider, answers)
    answers.refuse_unused()
    if not yes:
        _show(path, secrets, draft)
    write_draft(draft, path, secrets)
    for profile in draft.profiles:
        for variable in profile.from_environment:
            console.note(f"the secret of {profile.name}: read -rs {variable} && export {variable}")
    if out:
        console.note(f"nothing looks for it there: add --config {shlex.quote(str(out))} to each command")
    return _written(path, list(_next(draft)), common)


@dataclass(slots=True)
class _Answers:
    """What the flags answered beforehand, and a person for the rest."""

    given: dict[str, str]
    yes: bool
    used: list[str] = field(default_factory=list)

    def __call__(
        self, key: str, question: str, default: str = "", fault: Callable[[str], str] | None = None
    ) -> str:
        """The answer to one question: what a flag said, else what a person types; Enter is the default."""
        self.used.append(key)
        if key in self.given or self.yes:
            said = self.given.get(key, default)
            if wrong := self._wrong(said, fault):
                raise _usage(f"{key}: {wrong}", f"--set {key}=VALUE")
            return said
        return self._typed(question, default, fault)

    def _typed(self, question: str, default: str, fault: Callable[[str], str] | None) -> str:
        from batchcredit.console.base import TRIES, asked, shown

        for _ in range(TRIES):
            said = asked(f"{question}{f' [{default}]' if default else ''}: ") or default
            wrong = self._wrong(said, fault)
            if not wrong:
                return said
            shown(f"  {wrong}")
        raise _usage(f"{question}: no answer that can be used", "batchcredit init")

    def _wrong(self, said: str, fault: Callable[[str], str] | None) -> str:
        if not said.isprintable() or not said:
            return "an answer is needed here" if not said else "it holds characters that can not be printed"
        return fault(said) if fault else ""

    def refuse_unused(self) -> None:
        """An answer to a question that nobody asked is a slip."""
        left = sorted(self.given.keys() - self.used)
        if left:
            raise _usage(
                f"--set {left[0]}: nothing of that name is asked", f"known are {', '.join(self.used)}"
            )


def _given(texts: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not (key and sign and value):
            raise _usage(f"--set {key}: it is written --set PROFILE.KEY=VALUE", "batchcredit init --help")
        found[key] = value
    return found


def _asked_for(kinds: Sequence[str], answers: _Answers) -> tuple["Draft", dict[Path, str]]:
    from batchcredit import host
    from batchcredit.providers import registry
    from batchcredit.settings.draft import Draft

    if not kinds and answers.yes:
        raise _usage("--yes asks nothing, and no provider is named", "add --provider KIND")
    adapters = [registry.load(kind) for kind in dict.fromkeys(kinds or _kinds(answers))]
    secrets: dict[Path, str] = {}
    profiles = [_profile(adapter, answers, secrets) for adapter in adapters]
    limits = _limits(adapters, answers)
    timezone = answers("timezone", "Time zone that days are counted in", host.zone_name(), _fault_of_zone)
    return Draft(tuple(profiles), limits, timezone), secrets


def _kinds(answers: _Answers) -> list[str]:
    """The providers that a person names, by the adapters that are installed."""
    from batchcredit.providers import registry

    installed = ", ".join(registry.installed())

    def fault(said: str) -> str:
        kinds = said.replace(",", " ").split()
        unknown = [kind for kind in kinds if kind not in registry.installed()]
        if not kinds:
            return "an answer is needed here"
        return f"{unknown[0]} is none of {installed}" if unknown else ""

    said = answers("provider", f"Which providers do you use? {installed}", "clicksend", fault)
    return said.replace(",", " ").split()


def _profile(adapter: type["Provider"], answers: _Answers, secrets: dict[Path, str]) -> "ProfileDraft":
    from batchcredit.settings.draft import ProfileDraft, fault_of, own_fields

    name = _name(adapter)
    base_url = answers(
        f"{name}.base_url", f"{name}: address of its API", adapter.default_base_url, _fault_of_address
    )
    own = {
        key: answers(
            f"{name}.{key}",
            f"{name}: {info.description or key}",
            fault=lambda said, key=key: fault_of(adapter.settings, key, said),  # type: ignore[misc]
        )
        for key, info in own_fields(adapter).items()
    }
    own |= {f"{key}_file": str(place) for key, place in _secret_files(adapter, answers, secrets)}
    return ProfileDraft(name, adapter, base_url, own)


def _name(adapter: type["Provider"]) -> str:
    """What a profile is called in files and in the environment: its kind, as far as that is a name."""
    return adapter.kind.lower().replace("-", "_")


def _secret_files(
    adapter: type["Provider"], answers: _Answers, secrets: dict[Path, str]
) -> Iterator[tuple[str, Path]]:
    """The files that hold an adapter's secrets, and what is to be written into those that are new."""
    import platformdirs

    from batchcredit.console.base import asked_secretly, shown
    from batchcredit.settings.profile import secret_keys

    for key in sorted(secret_keys(adapter.settings)):
        setting = f"{_name(adapter)}.{key}"
        if setting in answers.given:
            raise _usage(f"--set {setting}: everybody on this machine can read it there", "leave it out")
        if f"{key}_file" not in adapter.settings.model_fields:
            continue
        if answers.yes and f"{setting}_file" not in answers.given:
            answers.used.append(f"{setting}_file")
            continue
        place = platformdirs.user_config_path("batchcredit") / setting
        said = answers(f"{setting}_file", f"{adapter.kind}: file for its {key}, or env for none", str(place))
        if said == "env":
            continue
        place = Path(said).expanduser().absolute()
        if place.exists():
            shown(f"  {place} is there already, and stays as it is")
        elif answers.yes:
            raise _usage(f"{place}: there is no such file", f"write the {key} into it first")
        else:
            secrets[place] = asked_secretly(f"{adapter.kind}: {key} (it is not shown): ")
        yield key, place


def _limits(adapters: Sequence[type["Provider"]], answers: _Answers) -> dict[str, dict[str, str]]:
    """The most that may be sent, in each currency that these providers are used with."""
    currencies = list(dict.fromkeys(adapter.rules.default_currency or "USD" for adapter in adapters))
    limits = {}
    for key, question in _LIMITS.items():
        proposed = _PROPOSED[key]
        default = ", ".join(f"{currency}:{proposed.get(currency, proposed[''])}" for currency in currencies)
        said = answers(f"limits.{key}", f"{question}, or none", default, _fault_of_limit)
        if said != "none":
            limits[key] = dict(_amounts(said))
    return limits


def _amounts(said: str) -> Iterator[tuple[str, str]]:
    for part in said.replace(",", " ").split():
        currency, _, amount = part.partition(":")
        yield currency, amount


def _fault_of_limit(said: str) -> str:
    from batchcredit.settings import values

    if said == "none":
        return ""
    amounts = list(_amounts(said))
    try:
        for currency, amount in amounts:
            values.currency(currency)
            values.limit(amount)
    except ValueError as error:
        return f"{error}; {_AS_WRITTEN}"
    unlike = len(dict(amounts)) == len(amounts) > 0
    return "" if unlike else f"each currency has one amount; {_AS_WRITTEN}"


def _fault_of_zone(said: str) -> str:
    from batchcredit.settings import timezone

    return _fault(timezone, said)


def _fault_of_address(said: str) -> str:
    from batchcredit.settings import values

    return _fault(values.base_url, said)


def _fault(form: Callable[[str], object], said: str) -> str:
    try:
        form(said)
    except ValueError as error:
        return str(error)
    return ""


def _show(path: Path, secrets: Mapping[Path, str], draft: "Draft") -> None:
    from batchcredit.console.base import agreed

    names = ", ".join(profile.name for profile in draft.profiles)
    files = "".join(f"\n  {place} (a secret; for your eyes only)" for place in secrets)
    if not agreed(f"To be written:\n  {path} ({names}){files}\n"):
        raise RefusedError("not agreed to: nothing was written", reason="not_approved")


def _write_demo(path: Path) -> Path:
    with path.open("x") as file:
        file.write(_DEMO_ROWS)
    return path


def _next(draft: "Draft") -> Iterator[tuple[str, ...]]:
    for profile in draft.profiles:
        yield "batchcredit", "providers", "test", profile.name
    yield "batchcredit", "check", "FILE.csv"
    yield "batchcredit", "run", "FILE.csv", "--sandbox"


def _written(path: Path, commands: Sequence[tuple[str, ...]], common: Common) -> int:
    console = console_of(common)
    console.note("next:" + "".join(f"\n  {shlex.join(command)}" for command in commands))
    if common.json:
        put(json.dumps(without_batch(results=str(path), next=list(commands[0]))))
    else:
        put(path)
    return 0


def _usage(problem: str, cure: str) -> RefusedError:
    return RefusedError(problem, reason="usage", cure=cure)
