"""Writes events as an immutable folder of sorted columns with a manifest: made aside, fsynced, renamed.

25 million events are sorted in well under a gigabyte: chunks go to disk as they come, and one column at a time is
brought into order.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from movierec.sources.base import Chunk

MANIFEST = "manifest.json"
COLUMNS: dict[str, np.dtype[Any]] = {
    "viewer": np.dtype("<i4"),
    "movie": np.dtype("<i4"),
    "time": np.dtype("<i8"),
    "rating": np.dtype("<f4"),
}
ROW_BITS = 31  # of a 64-bit sort key: the row; the rest is its time
BLOCK = 1_000_000  # rows

Progress = Callable[[str, float], None]  # what is being done, share of it done (0..1)


@dataclass(frozen=True)
class Written:
    """A finished folder, not yet named by any row."""

    folder: Path
    sha256: str
    events: int
    viewers: int
    counts: dict[int, int]  # movie id -> events


class Writer:
    """Takes chunks of events in file order; `finish` sorts them and puts the folder in its place."""

    def __init__(self, root: Path) -> None:
        self.name = str(uuid.uuid4())  # of the folder, once it is finished
        self._root = root
        self._aside = root / f".{self.name}"
        self._aside.mkdir(parents=True, mode=0o700)
        self._raw = {name: (self._aside / f"{name}.raw").open("wb") for name in COLUMNS}
        self.events = 0

    def append(self, chunk: Chunk) -> None:
        """Keep these events."""
        given: dict[str, npt.NDArray[Any]] = {
            "viewer": chunk.viewers,
            "movie": chunk.movie_ids,
            "time": chunk.times,
            "rating": chunk.ratings,
        }
        for name, dtype in COLUMNS.items():
            self._raw[name].write(given[name].astype(dtype).tobytes())
        self.events += chunk.viewers.size

    def finish(self, source: str, simulated: bool, progress: Progress) -> Written:
        """Sort by (time, order of arrival), write columns and manifest, fsync, rename."""
        for file in self._raw.values():
            file.close()
        order = self._order()
        files: dict[str, dict[str, Any]] = {}
        viewers, counts = 0, {}
        for step, name in enumerate(COLUMNS, 1):
            column = self._take(name)
            if name == "viewer":
                viewers = int(np.unique(column).size)
            elif name == "movie":
                counts = dict(zip(*(part.tolist() for part in np.unique(column, return_counts=True)), strict=True))
            files[f"{name}.npy"] = _write_column(self._aside / f"{name}.npy", column, order)
            progress("Sorting", step / len(COLUMNS))
        told = {"source": source, "simulated": simulated, "events": self.events, "viewers": viewers}
        manifest = {"format": 1, **told, "movies": len(counts), "files": files}
        _write(self._aside / MANIFEST, json.dumps(manifest, indent=1).encode())
        _sync(self._aside)
        folder = self._root / self.name
        self._aside.rename(folder)
        _sync(self._root)
        digest = whole_sha256({name: entry["sha256"] for name, entry in files.items()})
        return Written(folder, digest, self.events, viewers, counts)

    def discard(self) -> None:
        """Remove everything, finished or not."""
        for file in self._raw.values():
            file.close()
        for folder in (self._aside, self._root / self.name):
            shutil.rmtree(folder, ignore_errors=True)

    def _order(self) -> npt.NDArray[np.int64]:
        """Rows by (time, row): both in one 64-bit key, sorted in place, so that no second copy is made."""
        keys = self._take("time").astype(np.int64)
        keys <<= ROW_BITS
        for start in range(0, keys.size, BLOCK):
            keys[start : start + BLOCK] |= np.arange(start, min(start + BLOCK, keys.size))
        keys.sort()
        keys &= (1 << ROW_BITS) - 1
        return keys

    def _take(self, name: str) -> npt.NDArray[Any]:
        return np.fromfile(self._aside / f"{name}.raw", dtype=COLUMNS[name])


def whole_sha256(files: dict[str, str]) -> str:
    """One hash over all columns' hashes: equal if and only if the events are."""
    return hashlib.sha256("".join(f"{name} {files[name]}\n" for name in sorted(files)).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """The hash of a file's bytes. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_column(path: Path, column: npt.NDArray[Any], order: npt.NDArray[np.int64]) -> dict[str, Any]:
    """The column in that order, as .npy, block by block; gives its size and hash. Its raw file goes."""
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(column.dtype), "fortran_order": False, "shape": column.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, order.size, BLOCK):
            file.write(column[order[start : start + BLOCK]].tobytes())
        file.flush()
        os.fsync(file.fileno())
    path.with_suffix(".raw").unlink()
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
