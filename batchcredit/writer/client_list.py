"""A provider's list of clients as a file to fill in: given back to `run`, it is a batch."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import polars as pl

from batchcredit.providers.base import Client
from batchcredit.transfer import shortest
from batchcredit.writer.csv_file import write_csv, write_csv_gz
from batchcredit.writer.target import ending, replace
from batchcredit.writer.xlsx import write_xlsx

#: `client_balance`, because `balance` is what ClickSend itself calls the amount of a transfer.
CLIENT_COLUMNS = ("provider", "account", "account_name", "currency", "client_balance", "amount")


def write_clients(profile: str, clients: Iterable[Client], path: Path) -> Path:
    """Write these clients to `path`, whole or not at all, each with an empty amount.

    Returns the name that was written: a second one where something stands at the first. Raises RefusedError
    for a name of no known format, StorageError where the disk refuses.
    """
    frame = pl.DataFrame(
        [_cells(profile, client) for client in clients],
        schema=dict.fromkeys(CLIENT_COLUMNS, pl.String()),
        orient="row",
    )
    formats = {".csv": write_csv, ".csv.gz": write_csv_gz, ".parquet": _parquet, ".xlsx": write_xlsx}
    write = formats[ending(path)]
    return replace(path, lambda file: write([frame], file), lambda _: False)


def _cells(profile: str, client: Client) -> tuple[str | None, ...]:
    balance = None if client.balance is None else shortest(client.balance)
    return profile, client.account, client.name or None, client.currency or None, balance, None


def _parquet(frames: Iterable[pl.DataFrame], file: BinaryIO) -> None:
    pl.concat(frames).write_parquet(file)
