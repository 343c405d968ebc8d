"""The Ray cluster that a driver joins for the time of its run."""

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from batchcredit.distributed.fleet import RayFleet
from batchcredit.errors import RefusedError

#: Ray keeps the names of actors apart by namespace.
NAMESPACE = "batchcredit"

#: Ray itself would try for minutes, and can't be interrupted.
ANSWERS_WITHIN_S = 5.0


@contextmanager
def joined(address: str, senders: int | None) -> Iterator[RayFleet]:
    """So many senders on the Ray cluster at this address, "auto" for the one of this machine; one for each of
    its machines, where the number is None. Raises RefusedError where there is no cluster."""
    found = _of_this_machine() if address == "auto" else address
    try:
        if found:
            _knock(found)
        ray.init(found or "auto", namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise RefusedError(
            f"no Ray cluster answers at {found or address}: {str(error).partition('. ')[0]}",
            reason="no_cluster",
            cure="on this machine: ray start --head; or name another that it is part of: --ray HOST:6379",
        ) from error
    try:
        machines = sum(node["Alive"] for node in ray.nodes())  # type: ignore[no-untyped-call]
        yield RayFleet(senders or machines)
    finally:
        ray.shutdown()


def _of_this_machine() -> str:
    """Where Ray has noted it down (ray start --help, RAY_ADDRESS), or "": it then looks for processes."""
    if noted := os.environ.get("RAY_ADDRESS"):
        return noted
    folder = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    try:
        return (folder / "ray" / "ray_current_cluster").read_text().strip()
    except OSError:
        return ""


def _knock(address: str) -> None:
    """Raises OSError where nobody listens."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN_S).close()
