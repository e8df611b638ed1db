"""A zip or a folder as named files to stream, refused before it can do harm: bombs, foreign paths, cut-off files."""

from __future__ import annotations

import csv
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, Any

MAX_MEMBERS = 2_000
MAX_BYTES = 8 * 1024**3  # of one file, unpacked; MovieLens 32M's ratings have 0.9 GB
MAX_RATIO = 200  # unpacked to packed; MovieLens's files pack four to one
MAX_LINE = 1024**2  # bytes
BLOCK = 4 * 1024**2


class BadSource(Exception):
    """The data can't be used; the sentence says which file, where and what to do."""


class Archive:
    """Named files. A file is found by its last name; of several the one nearest to the top counts."""

    def __init__(self, path: Path, sizes: dict[str, int]) -> None:
        self.path = path
        self._sizes = sizes
        self._by_name: dict[str, str] = {}
        for member in sorted(sizes, key=lambda name: (name.count("/"), name)):
            if _usable(member):
                self._by_name.setdefault(PurePosixPath(member).name.lower(), member)

    def has(self, *names: str) -> bool:
        """Whether every one of these files is there."""
        return all(name.lower() in self._by_name for name in names)

    def member(self, name: str) -> str:
        """Its full name inside. Raises BadSource where it is absent."""
        if not self.has(name):
            raise BadSource(f"{self.path.name} holds no {name}.")
        return self._by_name[name.lower()]

    def size(self, name: str) -> int:
        """Bytes, unpacked."""
        return self._sizes[self.member(name)]

    @property
    def label(self) -> str:
        """What the data set is called: the folder inside, else the file's own name."""
        tops = {member.split("/", 1)[0] for member in self._by_name.values()}
        inside = all("/" in member for member in self._by_name.values())
        name = tops.pop() if len(tops) == 1 and inside else self.path.stem if self.path.is_file() else self.path.name
        return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)[:64] or "data"

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """The file's bytes, streamed. Raises BadSource, also from inside the block when the data turns out damaged."""
        member = self.member(name)
        self._check(member)
        try:
            with self._open(member) as stream:
                yield stream
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise BadSource(f"{name} in {self.path.name} is damaged ({error}): get the file again.") from None
        except (RuntimeError, NotImplementedError) as error:  # a password, an unknown compression
            raise BadSource(f"{name} in {self.path.name} can't be unpacked ({error}).") from None
        except OSError as error:
            raise BadSource(f"{name} in {self.path.name} can't be read ({error.strerror or error}).") from None

    def _check(self, member: str) -> None:
        if self._sizes[member] > MAX_BYTES:
            raise BadSource(f"{member} is larger than {MAX_BYTES // 1024**3} GB unpacked: it is refused.")

    def _open(self, member: str) -> IO[bytes]:
        raise NotImplementedError

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""


class Folder(Archive):
    """A folder, at most one level deep, or a single file of its own."""

    def __init__(self, path: Path) -> None:
        files = [path] if path.is_file() else sorted([*path.glob("*"), *path.glob("*/*")])
        self._root = path.parent if path.is_file() else path
        super().__init__(
            path, {file.relative_to(self._root).as_posix(): file.stat().st_size for file in files if file.is_file()}
        )

    def _open(self, member: str) -> IO[bytes]:
        return (self._root / member).open("rb")


class Zip(Archive):
    """A zip file. What its directory declares is checked first, and unpacking never exceeds the declared size."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError):
            raise BadSource(f"{path.name} is not a whole zip file: get it again.") from None
        self._infos = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
        if len(self._zip.infolist()) > MAX_MEMBERS:
            self.close()
            raise BadSource(f"{path.name} holds more than {MAX_MEMBERS:,} files: it is refused.")
        super().__init__(path, {name: info.file_size for name, info in self._infos.items()})

    def _check(self, member: str) -> None:
        super()._check(member)
        info = self._infos[member]
        ratio = info.file_size // max(info.compress_size, 1)
        if ratio > MAX_RATIO and info.file_size > BLOCK:
            raise BadSource(f"{member} would unpack to {ratio:,} times its size: it is refused.")

    def _open(self, member: str) -> IO[bytes]:
        return self._zip.open(self._infos[member])

    def close(self) -> None:
        self._zip.close()


def open_archive(path: Path) -> Archive:
    """The zip, folder or single file at `path`. Raises BadSource."""
    try:
        if not path.exists():
            raise BadSource(f"There is nothing at {path}.")
        if path.is_dir() or path.suffix.lower() in (".csv", ".dat", ".data"):
            return Folder(path)
        if path.is_file():
            return Zip(path)
    except OSError as error:
        raise BadSource(f"{path} can't be read ({error.strerror}).") from None
    raise BadSource(f"{path} is neither a file nor a folder.")


def lines(stream: IO[bytes], file: str) -> Iterator[bytes]:
    """Whole lines with their ends. Raises BadSource for what is no text, too long a line, and a cut-off last one."""
    number, line = 0, b"\n"
    while line := stream.readline(MAX_LINE):
        number += 1
        if not line.endswith(b"\n"):
            if len(line) >= MAX_LINE:
                raise BadSource(f"{file}, line {number} is longer than 1 MB: this is not the file it says it is.")
            raise BadSource(
                f"{file} ends in the middle of line {number}, so it was cut off: get it again "
                "(or, if it is whole, end its last line)."
            )
        if b"\0" in line:
            raise BadSource(f"{file}, line {number} holds a NUL byte: this is not a text file.")
        yield line


def rows(
    archive: Archive, name: str, *, header: Iterable[str] = (), strict: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file after its header, each with the line it starts on; UTF-8, a byte-order mark is skipped.

    Bytes that are not UTF-8 stay visible as lone surrogates: `unreadable` finds them. Raises BadSource.
    """
    with archive.open(name) as stream:
        text = (line.decode("utf-8", "surrogateescape") for line in lines(stream, name))
        reader = csv.reader(text, strict=strict)
        started = 1
        try:
            first = next(reader, [])
            names = [column.strip().lstrip("\ufeff").lower() for column in first]
            if names[: len(list(header))] != [column.lower() for column in header]:
                raise BadSource(f"{name} doesn't begin with {','.join(header)}: this is not the file it says it is.")
            yield 1, names
            started = reader.line_num + 1
            for row in reader:
                if row and row[-1].endswith("\n"):  # the reader ran out of file inside a quote
                    raise csv.Error("unexpected end of data")
                yield started, row
                started = reader.line_num + 1
        except csv.Error as error:
            said = "a quote is never closed" if "end of data" in str(error) else str(error)
            raise BadSource(f"{name}, line {started} can't be read: {said}.") from None


def unreadable(fields: Iterable[Any]) -> str:
    """Why these texts can't be used: "is not UTF-8" or "holds control characters"; empty if they can."""
    for text in fields:
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            return "is not UTF-8"
        if any(letter < " " and letter not in "\t\r\n" for letter in text):
            return "holds control characters"
    return ""


def _usable(member: str) -> bool:
    """False for names that point outside, and for what macOS adds."""
    path = PurePosixPath(member)
    if member.startswith(("/", "\\")) or ".." in path.parts or "\\" in member or ":" in member:
        return False
    return "__MACOSX" not in path.parts and not path.name.startswith("._")
