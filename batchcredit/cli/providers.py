"""providers and sandbox: whom money goes to, and who plays them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from batchcredit.cli.flags import Common, OutForm, file_or_pipe
from batchcredit.cli.guide import commands
from batchcredit.cli.pipes import form_to, way_out
from batchcredit.cli.session import console_of, put, settings_of, without_batch
from batchcredit.errors import RefusedError

if TYPE_CHECKING:
    from batchcredit.sandbox.settings import SandboxSettings

providers = commands("providers", "Adapters and profiles; test one, list its clients.")

_COMMON = Common()


@providers.default
def list_(*, common: Common = _COMMON) -> int:
    """Show the adapters that are installed and the profiles that are configured."""
    from batchcredit.console import tables
    from batchcredit.providers import registry

    settings, installed = settings_of(common), registry.installed()
    if common.json:
        put(json.dumps(without_batch(**tables.providers_as_json(installed, settings))))
    else:
        put(tables.providers(installed, settings))
    return 0


@providers.command(name="test")
def probe(name: str, /, *, common: Common = _COMMON) -> int:
    """Log in with one profile and read its own balance."""
    from batchcredit.engine.loop import in_loop
    from batchcredit.runner.outgoing import probing

    settings = settings_of(common)
    found = in_loop(lambda: probing.test(name, settings))
    balance = f"{found.balance.amount} {found.balance.currency}".strip() if found.balance else ""
    if common.json:
        put(json.dumps(without_batch(profile=name, login=found.login, balance=balance)))
    else:
        said = f"own balance {balance}" if balance else found.note
        put(f"{name}: {found.login} at {found.base_url}: {said}")
    return 0


@providers.command
def clients(
    name: str,
    /,
    *,
    out: Annotated[Path, file_or_pipe("Where to write: .csv, .csv.gz or .parquet; - is stdout.")],
    format: OutForm = None,  # noqa: A002  the flag is called so
    common: Common = _COMMON,
) -> int:
    """Write a provider's list of clients, to fill in amounts.

    Without the banned ones. The file can be given to check and run once the amounts are in it.
    """
    from batchcredit.engine.loop import in_loop
    from batchcredit.runner.outgoing import probing

    console, settings = console_of(common), settings_of(common)
    with way_out(out, form_to(out, format), common) as way:
        place = (way.out or out).absolute()
        found = in_loop(lambda: probing.clients(name, place, settings))
        way.pass_on(console, f"batchcredit providers clients {name} --out FILE")
    if found.banned:
        console.note(f"{found.banned} banned clients are left out")
    if way.is_passed:
        return 0
    fill_in = f"fill in amount and delete the other rows, then: batchcredit check {found.path}"
    console.note(f"{found.clients} clients; {fill_in}")
    if common.json:
        put(json.dumps(without_batch(results=str(found.path), rows=found.clients, banned=found.banned)))
    else:
        put(found.path)
    return 0


def sandbox(
    *,
    port: Annotated[int, Parameter(help="Port on 127.0.0.1; 0 takes any free one.")] = 0,
    seed: Annotated[int, Parameter(help="Balances, faults and delays follow from it.")] = 0,
    fault: Annotated[
        tuple[str, ...],
        Parameter(negative=(), help="NAME=PROBABILITY, such as reset_after=0.01. Repeatable."),
    ] = (),
    set: Annotated[  # noqa: A002  the flag is called so
        tuple[str, ...],
        Parameter(negative=(), help="KEY=JSON: any other setting of the sandbox. Repeatable."),
    ] = (),
    common: Common = _COMMON,
) -> int:
    """Play both providers on this machine until it is stopped.

    It prints the settings to paste. No money moves, and it takes no secret of yours.
    """
    from batchcredit.console import tables
    from batchcredit.sandbox.process import SandboxAddress, serve

    settings = _sandbox_settings(seed, fault, set)

    def ready(address: SandboxAddress) -> None:
        if common.json:
            put(json.dumps(without_batch(**tables.sandbox_as_json(address))))
        else:
            put(tables.sandbox(address))

    serve(settings, port, ready)
    return 0


def _sandbox_settings(seed: int, faults: tuple[str, ...], others: tuple[str, ...]) -> "SandboxSettings":
    from pydantic import ValidationError

    from batchcredit.sandbox.settings import SandboxSettings

    values: dict[str, object] = {"seed": seed, "fault_rates": {}}
    try:
        rates = {name: float(text) for name, _, text in (each.partition("=") for each in faults)}
        values |= {name: json.loads(text) for name, _, text in (each.partition("=") for each in others)}
        return SandboxSettings.model_validate(values | {"fault_rates": rates})
    except (ValueError, ValidationError) as error:
        raise RefusedError(
            f"the sandbox can't be set so: {error}",
            reason="usage",
            cure="write --fault NAME=PROBABILITY, --set KEY=JSON",
        ) from error
