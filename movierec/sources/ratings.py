"""Rating files parsed millions of rows a second: whole blocks as arrays, and row by row only where a block is odd."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from movierec.sources.archive import BLOCK, MAX_LINE, Archive, BadSource
from movierec.sources.base import LAST_ID, LAST_TIME, LAST_VIEWER, Chunk, Rejects

NEWLINE, RETURN, POINT, ZERO, FIVE = 10, 13, 46, 48, 53
DIGITS = 10  # widest number the fast way reads
HEADER = ["userid", "movieid", "rating", "timestamp"]

Columns = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Layout:
    """How a rating file is laid out: viewer, movie, rating, time between separators, with or without a header."""

    separator: bytes
    header: bool


CSV, DAT, TAB = Layout(b",", True), Layout(b"::", False), Layout(b"\t", False)


def read_ratings(
    archive: Archive, name: str, layout: Layout, known: npt.NDArray[np.int64], rejects: Rejects
) -> Iterator[Chunk]:
    """The file's ratings in file order. Rows that can't be used, or name a film outside `known`, go to `rejects`.

    Raises BadSource: no such file, another header, a cut-off last row, no text, or no usable rating at all.
    """
    total, done, used, line = max(archive.size(name), 1), 0, 0, 1
    for block in _blocks(archive, name):
        done += len(block)
        if line == 1 and layout.header:
            first, block = block.split(b"\n", 1)
            _check_header(first, name)
            line = 2
        here, first_line = block.count(b"\n"), line
        line += here
        if not here:
            continue
        separator = layout.separator
        if len(separator) > 1:
            block, separator = block.replace(separator, b"\t"), b"\t"
        columns = fast(block, separator[0])
        if columns is None:
            columns, numbers = slow(block, separator, name, first_line, rejects)
        else:
            numbers = np.arange(first_line, first_line + here)
        chunk = _known_only(columns, numbers, known, name, rejects, min(done / total, 1.0))
        used += chunk.viewers.size
        yield chunk
    if not used:
        said = f" The first row's fault: {rejects[-1].reason}." if rejects else ""
        raise BadSource(f"{name} holds no rating that can be used.{said}")


def _blocks(archive: Archive, name: str) -> Iterator[bytes]:
    """The file in blocks of whole lines."""
    with archive.open(name) as stream:
        rest, line = b"", 1
        while block := stream.read(BLOCK):
            if b"\0" in block:
                raise BadSource(f"{name} holds a NUL byte after line {line}: this is not a text file.")
            end = block.rfind(b"\n") + 1
            if len(rest) + (end or len(block)) > BLOCK + MAX_LINE:
                raise BadSource(f"{name}, line {line} is longer than 1 MB: this is not the file it says it is.")
            if end:
                whole, rest = rest + block[:end], block[end:]
                line += whole.count(b"\n")
                yield whole
            else:
                rest += block
        if rest:
            raise BadSource(
                f"{name} ends in the middle of line {line}, so it was cut off: get it again "
                "(or, if it is whole, end its last line)."
            )


def _check_header(line: bytes, name: str) -> None:
    names = line.removeprefix(b"\xef\xbb\xbf").decode("latin-1").replace('"', "").strip().lower().split(",")
    if [column.strip() for column in names] != HEADER:
        raise BadSource(
            f"{name} doesn't begin with userId,movieId,rating,timestamp (line 1): this is not MovieLens's file."
        )


def _known_only(
    columns: Columns,
    numbers: npt.NDArray[np.int64],
    known: npt.NDArray[np.int64],
    name: str,
    rejects: Rejects,
    share: float,
) -> Chunk:
    viewers, movie_ids, ratings, times = columns
    strange = ~np.isin(movie_ids, known)
    if strange.any():
        for row in np.flatnonzero(strange):
            rejects.add(name, int(numbers[row]), f"film {movie_ids[row]} is not in the catalogue")
        keep = ~strange
        viewers, movie_ids, ratings, times = viewers[keep], movie_ids[keep], ratings[keep], times[keep]
    return Chunk(viewers, movie_ids, times, ratings, share)


def fast(block: bytes, separator: int) -> Columns | None:
    """All rows of a block at once, or None if any row is not exactly as expected: then `slow` finds out which."""
    letters = np.frombuffer(block, dtype=np.uint8)
    marks = np.flatnonzero((letters == separator) | (letters == NEWLINE))
    if marks.size % 4:
        return None
    ends = marks.reshape(-1, 4)  # (rows, 4): where each field ends
    if (letters[ends[:, 3]] != NEWLINE).any() or (letters[ends[:, :3]] != separator).any():
        return None
    starts = np.concatenate([[0], marks[:-1] + 1]).reshape(-1, 4)
    last = ends[:, 3] - (letters[ends[:, 3] - 1] == RETURN)
    ratings = _ratings(letters, starts[:, 2], ends[:, 2])
    viewers = _numbers(letters, starts[:, 0], ends[:, 0], LAST_VIEWER)
    movie_ids = _numbers(letters, starts[:, 1], ends[:, 1], LAST_ID)
    times = _numbers(letters, starts[:, 3], last, LAST_TIME)
    if ratings is None or viewers is None or movie_ids is None or times is None:
        return None
    return viewers, movie_ids, ratings, times


def _numbers(
    letters: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], highest: int
) -> npt.NDArray[np.int64] | None:
    """Whole numbers of one column, digit place by digit place; None if one is not a number up to `highest`."""
    widths = ends - starts
    narrow, wide = int(widths.min()), int(widths.max())
    if narrow < 1 or wide > DIGITS:
        return None
    values = np.zeros(widths.size, dtype=np.int64)
    for place in range(wide):
        digits = letters[ends - 1 - place] - np.uint8(ZERO)  # below "0" wraps around to above 9
        if place >= narrow:
            digits[widths <= place] = 0
        if (digits > 9).any():
            return None
        values += digits * np.int64(10**place)
    return values if values.max() <= highest else None


def _ratings(
    letters: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32] | None:
    """Half stars written "4", "4.0" or "4.5"; None if one is written otherwise or is not in 0.5-5."""
    widths = ends - starts
    longer = widths == 3
    if not (longer | (widths == 1)).all():
        return None
    doubled = (letters[starts] - np.uint8(ZERO)) * np.uint8(2)
    at = starts[longer]
    halves = letters[at + 2]
    if (letters[at + 1] != POINT).any() or not ((halves == ZERO) | (halves == FIVE)).all():
        return None
    if (letters[starts] < ZERO).any() or (letters[starts] > FIVE).any():
        return None
    doubled[longer] += halves == FIVE
    if (doubled < 1).any() or (doubled > 10).any():
        return None
    return doubled.astype(np.float32) / np.float32(2)


def slow(
    block: bytes, separator: bytes, name: str, first_line: int, rejects: Rejects
) -> tuple[Columns, npt.NDArray[np.int64]]:
    """Row by row, with the reason for each row that can't be used; also gives the line of each row that can."""
    kept: list[tuple[int, int, float, int]] = []
    numbers: list[int] = []
    for number, row in enumerate(block.split(b"\n")[:-1], first_line):
        if len(row) > MAX_LINE:
            raise BadSource(f"{name}, line {number} is longer than 1 MB: this is not the file it says it is.")
        try:
            kept.append(_parsed(row.rstrip(b"\r"), separator))
            numbers.append(number)
        except ValueError as fault:
            rejects.add(name, number, str(fault))
    columns = list(zip(*kept, strict=True)) or [(), (), (), ()]
    viewers, movie_ids, ratings, times = columns
    return (
        np.array(viewers, dtype=np.int64),
        np.array(movie_ids, dtype=np.int64),
        np.array(ratings, dtype=np.float32),
        np.array(times, dtype=np.int64),
    ), np.array(numbers, dtype=np.int64)


def _parsed(row: bytes, separator: bytes) -> tuple[int, int, float, int]:
    """One row. Raises ValueError with the reason."""
    fields = [field.strip().strip(b'"') for field in row.split(separator)]
    if len(fields) != 4:
        raise ValueError(f"{len(fields)} columns instead of 4" if row.strip() else "an empty row")
    viewer = _whole(fields[0], "viewer", LAST_VIEWER)
    movie_id = _whole(fields[1], "film", LAST_ID)
    time = _whole(fields[3], "time", LAST_TIME)
    try:
        rating = float(fields[2])
    except ValueError:
        rating = math.nan
    if not (0.5 <= rating <= 5 and (rating * 2).is_integer()):
        raise ValueError(f"rating {_shown(fields[2])} is not in half stars from 0.5 to 5")
    return viewer, movie_id, rating, time


def _whole(field: bytes, what: str, highest: int) -> int:
    if not (field.isdigit() and len(field) <= 18 and int(field) <= highest):
        raise ValueError(f"{what} {_shown(field)} is not a number from 0 to {highest}")
    return int(field)


def _shown(field: bytes) -> str:
    return ascii(field[:40].decode("utf-8", "replace"))
