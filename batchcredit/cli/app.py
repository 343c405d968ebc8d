"""The commands together, and what becomes of an error."""

import json
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from cyclopts import CycloptsError, UnusedCliTokensError

from batchcredit import host
from batchcredit.cli import guide, ledgers, on_finish, transfers
from batchcredit.cli.bench import bench
from batchcredit.cli.completion import completion
from batchcredit.cli.custody import audit, ledger
from batchcredit.cli.explain import explain
from batchcredit.cli.flags import Common, with_values
from batchcredit.cli.health import health
from batchcredit.cli.history import history
from batchcredit.cli.init import init
from batchcredit.cli.providers import providers, sandbox
from batchcredit.cli.prune import prune
from batchcredit.cli.reconcile import reconcile
from batchcredit.cli.report import report
from batchcredit.cli.senders import evict, senders
from batchcredit.cli.session import console_of, ending, error_as_json, put, without_batch
from batchcredit.errors import BatchcreditError, RefusedError, defect

if TYPE_CHECKING:
    from batchcredit.console import Console

app = guide.commands("batchcredit", guide.INTRODUCTION, guide.OTHER)
app.help_epilogue = guide.BEGINNING
guide.offer(app, guide.FIRST_STEPS, init, completion, providers, transfers.check)
guide.offer(app, guide.SEND, transfers.run, transfers.resume)
guide.offer(
    app,
    guide.AFTER,
    ledgers.show,
    ledgers.results,
    report,
    reconcile,
    ledgers.resolve,
    ledgers.cancel,
    history,
    health,
    explain,
)
guide.offer(app, guide.LEDGER, ledger, audit, prune)
guide.offer(app, guide.MACHINES, senders, evict)
guide.offer(app, guide.TRY, sandbox, bench)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code, as the contract says. `help COMMAND` is `COMMAND --help`."""
    if list(arguments[:1]) == ["help"]:
        arguments = [*arguments[1:], "--help"]
    arguments = with_values(arguments)
    with host.interrupted_by_stop_signals():
        ending.begin()
        code = _ended(arguments)
        said = ending.said or without_batch(exit_code=code)
        if ending.on_finish:
            on_finish.finish(ending.on_finish, said, _console(arguments))
        if _logs_json(arguments):
            _console(arguments).show_end(said)
    return code


def _ended(arguments: Sequence[str]) -> int:
    try:
        found = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except BatchcreditError as error:
        return _failed(error, arguments)
    except CycloptsError as error:
        return _failed(_usage(error), arguments)
    except KeyboardInterrupt:
        stopped = RefusedError("stopped before anything was sent by this command", reason="stopped")
        return _failed(stopped, arguments)
    except Exception as error:
        return _failed(defect(error), arguments)
    return found if isinstance(found, int) else 0


def _failed(error: BatchcreditError, arguments: Sequence[str]) -> int:
    host.deafen()
    _console(arguments).show_error(error)
    ending.said = error_as_json(error)
    if "--json" in arguments:
        put(json.dumps(ending.said))
    return error.exit_code


def _console(arguments: Sequence[str]) -> "Console":
    """The console of a command line that may not have been understood."""
    quiet = not {"-q", "--quiet"}.isdisjoint(arguments)
    return console_of(Common(log_format="json" if _logs_json(arguments) else "text", quiet=quiet))


def _logs_json(arguments: Sequence[str]) -> bool:
    return "--log-format=json" in arguments or ("--log-format", "json") in pairwise(arguments)


def _usage(error: CycloptsError) -> RefusedError:
    """What was typed wrong, and the help of the command that it was typed for."""
    problem = str(error).strip()
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        what = " ".join(error.unused_tokens)
        problem = f"{what}: this is more than the command takes; a name with blanks needs quotes"
    command = ("batchcredit", *(error.command_chain or ()))
    return RefusedError(problem, reason="usage", cure=f"{' '.join(command)} --help")
