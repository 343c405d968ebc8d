"""Sorting more rows than should be held: buckets by ranges of the key, on disk, each small enough to sort."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

_HELD_ROWS = 1 << 15
_BUCKETS = 16
_MOST_BUCKETS = 512  # each is a file
_SAMPLED = 256  # every so manieth key is looked at to set the bounds
_DEEPEST = 3  # a key that fills a bucket can not be divided


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
        self._rows = self._count = 0
        self._buckets: list[_Bucket] = []
        self._bounds: pl.Series | None = None  # None: what came so far came in order, or not on disk yet
        self._highest: object = None

    def add(self, frame: pl.DataFrame) -> None:
        """Takes the rows of `frame`."""
        self._held.append(frame)
        self._rows += frame.height
        if self._rows >= self._held_rows:
            self._spill()

    def pieces(self) -> Iterator[pl.DataFrame]:
        """All rows in order. Nothing is left afterwards."""
        if not self._buckets:
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
        if self._bounds is None and self._follows(held[self._key]):
            self._new_bucket().append(held)
            return
        if self._bounds is None:
            self._divide_what_came(held)
        self._distribute(held)

    def _follows(self, keys: pl.Series) -> bool:
        """Whether all `keys` are above what came before: a file in order is a row of buckets already."""
        follows = not self._buckets or bool(keys.min() > self._highest)  # type: ignore[operator]
        self._highest = keys.max()
        return follows

    def _divide_what_came(self, held: pl.DataFrame) -> None:
        came = self._buckets
        samples = [_sample(held[self._key]), *(sample for bucket in came for sample in bucket.samples)]
        self._divide(pl.concat(samples), _BUCKETS)
        for bucket in came:
            for frame in bucket.frames():
                self._distribute(frame)
            bucket.path.unlink()

    def _divide(self, sample: pl.Series, into: int) -> None:
        """Sets the bounds of the buckets. What they turn out to divide badly is divided again."""
        into = min(_MOST_BUCKETS, max(into, len(sample) * _SAMPLED // self._held_rows))
        self._bounds = sample.sort().gather_every(max(1, len(sample) // into))[1:].unique().sort()
        self._buckets = []
        for _ in range(len(self._bounds) + 1):
            self._new_bucket()

    def _new_bucket(self) -> "_Bucket":
        self._folder.mkdir(exist_ok=True)
        self._count += 1
        self._buckets.append(_Bucket(self._folder / f"{self._count}", self._key))
        return self._buckets[-1]

    def _distribute(self, frame: pl.DataFrame) -> None:
        assert self._bounds is not None
        bucket = self._bounds.search_sorted(frame[self._key], side="right").alias("_bucket")
        parts = frame.with_columns(bucket).partition_by("_bucket", include_key=False, as_dict=True)
        for (number,), part in parts.items():
            self._buckets[number].append(part)

    def _bucket_pieces(self, bucket: "_Bucket") -> Iterator[pl.DataFrame]:
        if bucket.rows > 2 * self._held_rows and self._depth < _DEEPEST:
            yield from self._divided_again(bucket)
        elif bucket.rows:
            yield self._piece(list(bucket.frames()))
        bucket.path.unlink(missing_ok=True)

    def _divided_again(self, bucket: "_Bucket") -> Iterator[pl.DataFrame]:
        """What came first, and set the bounds, may have been unlike what came later."""
        finer = SpillSort(
            bucket.path.with_suffix(".finer"),
            self._key,
            in_order=self._in_order,
            held_rows=self._held_rows,
            depth=self._depth + 1,
        )
        finer._divide(pl.concat(bucket.samples), _BUCKETS)
        for frame in bucket.frames():
            finer.add(frame)
        yield from finer.pieces()

    def _piece(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        whole = pl.concat(frames)
        return whole.sort(self._key) if self._in_order else whole


class _Bucket:
    """Frames of one range of keys, one behind the other in a file, and a sample of their keys."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self._key = path, key
        self.rows = 0
        self.samples: list[pl.Series] = []
        self._sizes: list[int] = []

    def append(self, frame: pl.DataFrame) -> None:
        """Writes `frame` behind the others."""
        with self.path.open("ab") as file:
            before = file.tell()
            frame.write_ipc_stream(file)
            self._sizes.append(file.tell() - before)
        self.samples.append(_sample(frame[self._key]))
        self.rows += frame.height

    def frames(self) -> Iterator[pl.DataFrame]:
        """All frames, one at a time."""
        with self.path.open("rb") as file:
            for size in self._sizes:
                yield pl.read_ipc_stream(file.read(size))


def _sample(keys: pl.Series) -> pl.Series:
    """Some of `keys`, in memory of their own: a slice of strings would hold on to all of them."""
    return pl.Series(keys.gather_every(_SAMPLED).to_list(), dtype=keys.dtype)
