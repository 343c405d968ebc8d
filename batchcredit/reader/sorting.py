"""Sorting more rows than should be held: buckets by ranges of the key, on disk, each small enough to sort."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

_HELD_ROWS = 1 << 18
_BUCKETS = 16
_SAMPLES = 1 << 12
_DEEPEST = 4  # a key that fills a bucket can not be divided


class SpillSort:
    """Takes frames in any order and gives all their rows back in the order of column `key`, in pieces.

    Rows of an equal key are always in one piece. At most `held_rows` are in memory while it takes, and about
    as many while it gives, unless more than that have one key.
    """

    def __init__(self, folder: Path, key: str, held_rows: int = _HELD_ROWS, depth: int = 0) -> None:
        self._folder, self._key, self._held_rows, self._depth = folder, key, held_rows, depth
        self._held: list[pl.DataFrame] = []
        self._rows = 0
        self._bounds: pl.Series | None = None
        self._buckets: list[_Bucket] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Takes the rows of `frame`."""
        if self._bounds is not None:
            self._spill(frame)
            return
        self._held.append(frame)
        self._rows += frame.height
        if self._rows > self._held_rows:
            self._begin_to_spill()

    def pieces(self) -> Iterator[pl.DataFrame]:
        """All rows in order. Nothing is left afterwards."""
        if self._bounds is None:
            if self._held:
                yield pl.concat(self._held).sort(self._key)
            return
        for bucket in self._buckets:
            yield from self._bucket_pieces(bucket)

    def _begin_to_spill(self) -> None:
        held = pl.concat(self._held)
        self._held = []
        step = max(1, held.height // _SAMPLES)
        sample = held[self._key].gather_every(step).sort()
        self._bounds = sample.gather_every(max(1, len(sample) // _BUCKETS))[1:].unique().sort()
        self._folder.mkdir()
        self._buckets = [_Bucket(self._folder / f"{i:02}") for i in range(len(self._bounds) + 1)]
        self._spill(held)

    def _spill(self, frame: pl.DataFrame) -> None:
        assert self._bounds is not None
        bucket = self._bounds.search_sorted(frame[self._key], side="right").alias("_bucket")
        parts = frame.with_columns(bucket).partition_by("_bucket", include_key=False, as_dict=True)
        for (number,), part in parts.items():
            self._buckets[number].append(part)

    def _bucket_pieces(self, bucket: "_Bucket") -> Iterator[pl.DataFrame]:
        if bucket.rows > 2 * self._held_rows and self._depth < _DEEPEST:
            finer = SpillSort(bucket.path.with_suffix(".finer"), self._key, self._held_rows, self._depth + 1)
            for frame in bucket.frames():
                finer.add(frame)
            yield from finer.pieces()
        elif bucket.rows:
            yield pl.concat(bucket.frames()).sort(self._key)
        bucket.path.unlink(missing_ok=True)


class _Bucket:
    """Frames of one range of keys, one behind the other in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._sizes: list[int] = []

    def append(self, frame: pl.DataFrame) -> None:
        with self.path.open("ab") as file:
            before = file.tell()
            frame.write_ipc_stream(file, compat_level=pl.CompatLevel.newest())
            self._sizes.append(file.tell() - before)
        self.rows += frame.height

    def frames(self) -> Iterator[pl.DataFrame]:
        with self.path.open("rb") as file:
            for size in self._sizes:
                yield pl.read_ipc_stream(file.read(size))
