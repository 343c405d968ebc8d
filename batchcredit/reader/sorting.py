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

    Rows of an equal key are always in one piece. At most `held_rows` and a frame are in memory while it
    takes, and twice as many while it gives, unless more than that have one key. Unless `in_order`, the pieces
    follow each other in the order of the key, and the rows in a piece do not.
    """

    def __init__(
        self, folder: Path, key: str, *, in_order: bool = True, held_rows: int = _HELD_ROWS, depth: int = 0
    ) -> None:
        self._folder, self._key, self._in_order = folder, key, in_order
        self._held_rows, self._depth = held_rows, depth
        self._held: list[pl.DataFrame] = []
        self._rows = 0
        self._bounds: pl.Series | None = None
        self._buckets: list[_Bucket] = []

    def add(self, frame: pl.DataFrame) -> None:
        """Takes the rows of `frame`."""
        self._held.append(frame)
        self._rows += frame.height
        if self._rows >= self._held_rows:
            self._spill()

    def pieces(self) -> Iterator[pl.DataFrame]:
        """All rows in order. Nothing is left afterwards."""
        if self._bounds is None:
            if self._rows:
                yield self._piece(self._held)
            return
        if self._rows:
            self._spill()
        for bucket in self._buckets:
            yield from self._bucket_pieces(bucket)

    def _spill(self) -> None:
        held = pl.concat(self._held)
        self._held, self._rows = [], 0
        if self._bounds is None:
            self._divide(held[self._key])
        assert self._bounds is not None
        bucket = self._bounds.search_sorted(held[self._key], side="right").alias("_bucket")
        parts = held.with_columns(bucket).partition_by("_bucket", include_key=False, as_dict=True)
        for (number,), part in parts.items():
            self._buckets[number].append(part)

    def _divide(self, keys: pl.Series) -> None:
        """Sets the bounds of the buckets by what came first. What they divide badly is divided again."""
        sample = keys.gather_every(max(1, len(keys) // _SAMPLES)).sort()
        self._bounds = sample.gather_every(max(1, len(sample) // _BUCKETS))[1:].unique().sort()
        self._folder.mkdir()
        self._buckets = [_Bucket(self._folder / f"{i:02}") for i in range(len(self._bounds) + 1)]

    def _bucket_pieces(self, bucket: "_Bucket") -> Iterator[pl.DataFrame]:
        if bucket.rows > 2 * self._held_rows and self._depth < _DEEPEST:
            finer = SpillSort(
                bucket.path.with_suffix(".finer"),
                self._key,
                in_order=self._in_order,
                held_rows=self._held_rows,
                depth=self._depth + 1,
            )
            for frame in bucket.frames():
                finer.add(frame)
            yield from finer.pieces()
        elif bucket.rows:
            yield self._piece(list(bucket.frames()))
        bucket.path.unlink(missing_ok=True)

    def _piece(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        whole = pl.concat(frames)
        return whole.sort(self._key) if self._in_order else whole


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
