"""Senders that do as a test says, each in a process of its own on the cluster."""

import os
import threading
from importlib.metadata import version

from batchcredit.distributed.messages import Errand, Introduction, Report, Told
from batchcredit.distributed.sealed import Seal


class StandIn:
    """Ends as the `ledger_url` of its errand says."""

    def __init__(self) -> None:
        self._seal = Seal()
        self._stopped = threading.Event()

    def introduce(self) -> Introduction:
        return Introduction(version("batchcredit"), "here", os.getpid(), self._seal.public)

    def send(self, sealed: bytes) -> Report:
        errand = Errand.unpacked(self._seal.opened(sealed))
        match errand.ledger_url:
            case "die":
                os._exit(1)
            case "stopped before its time":
                return Report(Told(), left="stopped")
            case "evicted":
                return Report(Told(), problem="somebody has evicted it", reason="evicted")
            case "refused":
                return Report(Told(), problem="a profile is missing", reason="settings")
            case "until stopped":
                said = "heard out" if self._stopped.wait(30) else "nobody came"
                return Report(Told(said=((said, False),)), left="stopped")
            case "deaf":
                threading.Event().wait(30)
        return Report(Told(said=(("done", False),)))

    def tell(self) -> Told:
        return Told()

    def stop(self) -> None:
        self._stopped.set()


class OtherVersion(StandIn):
    """Comes from an installation that is not the driver's."""

    def introduce(self) -> Introduction:
        return Introduction("0.0.0", "elsewhere", os.getpid(), self._seal.public)

    def send(self, sealed: bytes) -> Report:
        return Report(Told(said=(("was given an errand", True),)))
