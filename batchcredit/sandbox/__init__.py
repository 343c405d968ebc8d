"""Both providers, played on loopback: a real server with faults to switch on and a book of what it executed.

The book is the truth that tests compare the ledger with, so nothing in here knows the adapters: the wire
format is stated a second time, and a page that was misread is not confirmed by its own echo.
"""

from batchcredit.sandbox.control import Control
from batchcredit.sandbox.faults import Fault
from batchcredit.sandbox.process import SIMULATED_KINDS, SandboxAddress, SandboxError, sandbox_process, serve
from batchcredit.sandbox.settings import AccountSettings, SandboxSettings

__all__ = [
    "SIMULATED_KINDS",
    "AccountSettings",
    "Control",
    "Fault",
    "SandboxAddress",
    "SandboxError",
    "SandboxSettings",
    "sandbox_process",
    "serve",
]
