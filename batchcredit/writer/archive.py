"""The results of an old batch as Parquet, read back before anything relies on them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from batchcredit import host
from batchcredit.errors import RefusedError, StorageError
from batchcredit.ledger.base import BatchRecord, LedgerReader
from batchcredit.writer.csv_records import is_regular
from batchcredit.writer.results import Chunks, write_parquet
from batchcredit.writer.target import disk_error, is_taken, replace

_UNREADABLE = (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive as it stands on the disk, compared with the ledger cell by cell."""

    path: Path
    size_bytes: int
    sha256: str


def write_archive(ledger: LedgerReader, batch: BatchRecord, folder: Path) -> Archive:
    """Write all rows of a batch as its results in `folder`, made if need be, and read them back.

    The same archive, left by a command that was killed, may stand there. Raises RefusedError (`out_exists`)
    where anything else does, StorageError where the disk refuses or returns something else.
    """
    path = folder / f"{batch.name}.{ledger.id}.archive.parquet"
    chunks = Chunks(ledger, batch)
    if is_taken(path):
        if not _holds(path, chunks):
            raise _occupied(path, batch)
    else:
        _make(folder)
        path = replace(path, lambda file: write_parquet(chunks, file), lambda _: False)
        if not _holds(path, chunks):
            raise _damaged(path)
    return Archive(path, path.stat().st_size, _sha256(path))


def _make(folder: Path) -> None:
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, mode=0o700)
            host.sync_folder(folder.parent)
    except OSError as error:
        raise disk_error(folder, error) from error


def _holds(path: Path, chunks: Chunks) -> bool:
    """Whether this file has these columns and rows, cell by cell, and no others."""
    rows = 0
    try:
        if not is_regular(path):
            return False
        scan = pl.scan_parquet(path, glob=False, hive_partitioning=False)
        if scan.collect_schema() != chunks.schema:
            return False
        for chunk in chunks:
            if not scan.slice(rows, chunk.height).collect().equals(chunk):
                return False
            rows += chunk.height
        return bool(scan.select(pl.len()).collect().item() == rows)
    except _UNREADABLE:
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _occupied(path: Path, batch: BatchRecord) -> RefusedError:
    return RefusedError(
        f"{path}: something else stands there than the rows of batch {batch.name}, and is not replaced",
        reason="out_exists",
        cure="move it away, or name another folder with --out",
    )


def _damaged(path: Path) -> StorageError:
    return StorageError(
        f"{path}: what was read back is not what was written; the batch stays in the ledger",
        reason="out_unwritable",
        cure="check the disk, or name a folder on another one with --out",
    )
