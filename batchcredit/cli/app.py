"""The commands together, and what becomes of an error."""

import json
from collections.abc import Sequence
from itertools import pairwise

from cyclopts import App, CycloptsError

from batchcredit import host
from batchcredit.cli import ledgers, transfers
from batchcredit.cli.bench import bench
from batchcredit.cli.custody import audit, ledger
from batchcredit.cli.flags import Common
from batchcredit.cli.history import history
from batchcredit.cli.providers import providers, sandbox
from batchcredit.cli.prune import prune
from batchcredit.cli.reconcile import reconcile
from batchcredit.cli.senders import evict, senders
from batchcredit.cli.session import console_of, error_as_json, put
from batchcredit.errors import BatchcreditError, RefusedError, defect

app = App(
    name="batchcredit",
    help="""Move prepaid credit from a reseller's account to many client accounts, from a file.

    Nothing is sent twice: a run that was stopped or killed goes on with the same command.""",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
app.command(transfers.run)
app.command(transfers.check)
app.command(transfers.resume, alias="rerun")
app.command(ledgers.results)
app.command(ledgers.show)
app.command(ledgers.resolve)
app.command(ledgers.cancel)
app.command(reconcile)
app.command(history)
app.command(audit)
app.command(ledger)
app.command(senders)
app.command(evict)
app.command(prune)
app.command(providers)
app.command(sandbox)
app.command(bench)


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
    return RefusedError(str(error).strip(), reason="usage", cure="batchcredit --help")
