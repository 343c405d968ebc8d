"""A ledger that remembers nothing: what the engine would do if durability cost nothing."""

from collections.abc import Sequence

from batchcredit import host
from batchcredit.ledger.base import Answered, Claim, Claimed, Operation
from batchcredit.transfer import Transfer


class MemoryLedger:
    """What a journal asks of a ledger while rows are sent, and nothing of what makes it true."""

    def __init__(self, transfers: Sequence[Transfer]) -> None:
        self._transfers = transfers

    def candidates(self, batch: int, lane: int, after_row: int, limit: int) -> list[tuple[Transfer, int]]:
        """Rows count from 1."""
        return [(transfer, 0) for transfer in self._transfers[after_row : after_row + limit]]

    def commit(self, operations: Sequence[Operation]) -> list[Answered]:
        boot_s = host.boot_s()
        return [Claimed(boot_s) if isinstance(operation, Claim) else None for operation in operations]

    def halt(self, batch: int, lane: int, reason: str, message: str) -> None:
        raise RuntimeError(f"the lane halted: {reason}: {message}")
