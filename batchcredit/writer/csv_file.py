"""Frames as one CSV file, packed or not, a frame at a time."""

import gzip
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

import polars as pl

from batchcredit.writer.table import csv_text


def write_csv(frames: Iterable[pl.DataFrame], file: BinaryIO) -> None:
    """Write frames with the same columns below one header."""
    file.writelines(csv_pieces(frames))


def write_csv_gz(frames: Iterable[pl.DataFrame], file: BinaryIO) -> None:
    """The same, packed; the same frames give the same bytes."""
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as zipped:
        write_csv(frames, cast(BinaryIO, zipped))


def csv_pieces(frames: Iterable[pl.DataFrame]) -> Iterator[memoryview]:
    """The bytes of the file, frame by frame; those of the first begin with the header.

    Its names are quoted: a program that looks at the beginning of a file alone (DuckDB) would else take
    quotes for text, and stumble over the first one far below.
    """
    header = True
    for frame in frames:
        text, shown = io.BytesIO(), csv_text(frame)
        if header:
            shown.clear().write_csv(text, quote_style="always")
        shown.write_csv(text, include_header=False)
        header = False
        yield text.getbuffer()
