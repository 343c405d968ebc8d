"""The commands together, and what becomes of an error."""

import json
from collections.abc import Sequence
from itertools import pairwise

from cyclopts import CycloptsError, UnusedCliTokensError

from batchcredit import host
from batchcredit.cli import guide, ledgers, transfers
from batchcredit.cli.bench import bench
from batchcredit.cli.completion import completion
from batchcredit.cli.custody import audit, ledger
from batchcredit.cli.explain import explain
from batchcredit.cli.flags import Common
from batchcredit.cli.history import history
from batchcredit.cli.providers import providers, sandbox
from batchcredit.cli.prune import prune
from batchcredit.cli.reconcile import reconcile
from batchcredit.cli.senders import evict, senders
from batchcredit.cli.session import console_of, error_as_json, put
from batchcredit.errors import BatchcreditError, RefusedError, defect

app = guide.commands("batchcredit", guide.INTRODUCTION, guide.OTHER)
app.help_epilogue = guide.BEGINNING
guide.offer(app, guide.FIRST_STEPS, completion, providers, transfers.check)
guide.offer(app, guide.SEND, transfers.run, transfers.resume)
guide.offer(
    app,
    guide.AFTER,
    ledgers.show,
    ledgers.results,
    reconcile,
    ledgers.resolve,
    ledgers.cancel,
    history,
    explain,
)
guide.offer(app, guide.LEDGER, ledger, audit, prune)
guide.offer(app, guide.MACHINES, senders, evict)
guide.offer(app, guide.TRY, sandbox, bench)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code, as the contract says."""
    with host.interrupted_by_stop_signals():
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
    as_json = "--json" in arguments
    log_json = "--log-format=json" in arguments or ("--log-format", "json") in pairwise(arguments)
    console_of(Common(log_format="json" if log_json else "text")).show_error(error)
    if as_json:
        put(json.dumps(error_as_json(error)))
    return error.exit_code


def _usage(error: CycloptsError) -> RefusedError:
    """What was typed wrong, and the help of the command that it was typed for."""
    problem = str(error).strip()
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        what = " ".join(error.unused_tokens)
        problem = f"{what}: this is more than the command takes; a name with blanks needs quotes"
    command = ("batchcredit", *(error.command_chain or ()))
    return RefusedError(problem, reason="usage", cure=f"{' '.join(command)} --help")
