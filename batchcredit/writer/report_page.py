"""The page of a report as a file, in the place of an earlier one of its batch and of nothing else."""

from pathlib import Path

from batchcredit.errors import RefusedError, StorageError
from batchcredit.writer.csv_records import is_regular
from batchcredit.writer.target import disk_error, replace

_ENDING = ".html"

#: By this line near its beginning a page is known as ours, and of which batch it is.
_MARK = '<meta name="generator" content="batchcredit report of {}">'
_NEAR = 1_000


def report_path(batch: str, results: Path, out: Path | None, *, sandbox: bool) -> Path:
    """Where the report of a batch goes: `out`, or beside its results, where a rehearsal's never takes the
    place of another. Raises RefusedError (`out_format`) for an `out` that is no page."""
    if out is None:
        prefix = "sandbox-" if sandbox or results.name.startswith("sandbox-") else ""
        return results.absolute().parent / f"{prefix}{batch}.report{_ENDING}"
    if out.suffix.lower() != _ENDING:
        raise RefusedError(
            f"{out}: a report is written as HTML",
            reason="out_format",
            cure="name a file that ends in .html with --out",
        )
    return out.absolute()


def write_report(batch: str, page: str, path: Path) -> Path:
    """Write the page of a report, whole or not at all. Returns the name that was written: a second one where
    somebody else's file stands at the first. Raises StorageError where the disk refuses."""
    mark, content = _MARK.format(batch).encode(), page.encode()
    assert mark in content[:_NEAR]

    def may_replace(taken: Path) -> bool:
        return is_regular(taken) and mark in _beginning(taken)

    def refusal(path: Path, error: OSError) -> StorageError:
        return StorageError(
            f"{path}: the report could not be written: {error.strerror or error}",
            reason=disk_error(path, error).reason,
            cure=f"mend that, or write elsewhere: batchcredit report {batch} --out PATH",
        )

    return replace(path, lambda file: file.write(content), may_replace, refusal)


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_NEAR)
    except OSError:
        return b""
