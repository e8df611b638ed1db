"""The files of an artefact: written straight through and hashed on the way, read back byte for byte and never trusted.

Knows nothing of engines. An npz here is an uncompressed zip of .npy members whose names, types and shapes the manifest
lists; no pickle is written or read, and nothing is allocated that the listed size does not allow.
Errors: ArtifactError > BadArtifact, DiskFull.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, NonNegativeInt

Arrays = Mapping[str, npt.NDArray[Any]]
Content = bytes | Arrays  # of one file: as it is, or arrays for an npz

KINDS = "biufcSU"  # bool, int, uint, float, complex, bytes, text; never objects
FILE = re.compile(r"[a-z0-9][a-zA-Z0-9_-]{0,99}\.[a-z0-9]{1,8}")
ARRAY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
CHUNK = 1 << 20


class ArtifactError(Exception):
    """Something about a folder in models/ that can be said in one sentence to a person."""


class BadArtifact(ArtifactError):
    """Not whole, not ours or not usable. The sentence names the file and what is wrong with it."""


class DiskFull(ArtifactError):
    """There is no room for it; nothing was left behind."""


class _Facts(BaseModel):
    """Base of what a manifest says: nothing unknown, nothing converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ArrayFacts(_Facts):
    dtype: str
    shape: list[NonNegativeInt]


class FileFacts(_Facts):
    sha256: str
    bytes: NonNegativeInt
    arrays: dict[str, ArrayFacts] | None  # None: not an npz


class Manifest(_Facts):
    """What a folder says about itself. `seal` is the hash of all the rest, so no byte of it can change unseen."""

    format: Literal[1]
    folder: str
    engine: str
    params: dict[str, Any]
    vocabulary: str
    dataset: str
    versions: dict[str, str]
    facts: dict[str, Any]
    files: dict[str, FileFacts]
    seal: str

    def content(self) -> bytes:
        """The one way to write this manifest down."""
        return json.dumps(self.model_dump(), sort_keys=True, indent=1, allow_nan=False).encode()

    def sealed(self) -> Manifest:
        bare = self.model_copy(update={"seal": ""})
        return bare.model_copy(update={"seal": hashlib.sha256(bare.content()).hexdigest()})


class _Sink:
    """A new file that hashes what it is given. It can't seek, so the hash is of all that was written."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self.digest, self.bytes = hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.bytes += len(data)
        left = memoryview(data)
        while left:
            left = left[os.write(self.descriptor, left) :]
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""


def refuse_unstorable(name: str, content: Content) -> None:
    """Raises ValueError for a file or array that can't be stored: a name that is no plain name, a type with objects."""
    if not FILE.fullmatch(name):
        raise ValueError(f"{name!r} is not a name for a file of an artefact")
    for key, array in {} if isinstance(content, bytes) else content.items():
        if not ARRAY.fullmatch(key):
            raise ValueError(f"{name}: {key!r} is not a name for an array")
        if array.dtype.kind not in KINDS:
            raise ValueError(f"{name}: array {key!r} of type {array.dtype} can't be stored without pickle")


def weight(content: Content) -> int:
    """About how many bytes it takes on the disk."""
    return len(content) if isinstance(content, bytes) else sum(a.nbytes + 1024 for a in content.values())


def write_file(path: Path, content: Content) -> FileFacts:
    """Write one new file and fsync it."""
    sink = _Sink(path)
    try:
        if isinstance(content, bytes):
            for start in range(0, len(content), CHUNK):
                sink.write(content[start : start + CHUNK])
        else:
            _write_npz(sink, content)
        os.fsync(sink.descriptor)
    finally:
        os.close(sink.descriptor)
    listed = None if isinstance(content, bytes) else {name: _facts(array) for name, array in content.items()}
    return FileFacts(sha256=sink.digest.hexdigest(), bytes=sink.bytes, arrays=listed)


def check_file(path: Path, facts: FileFacts) -> None:
    """Raises BadArtifact unless size and sha256 are what they were."""
    digest = hashlib.sha256()
    with open_plain(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != facts.bytes:
            raise BadArtifact(f"{path.name}: is {size} bytes long, was written with {facts.bytes}.")
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != facts.sha256:
        raise BadArtifact(f"{path.name}: its sha256 is not that of what was written.")


def read_npz(path: Path, facts: FileFacts) -> dict[str, npt.NDArray[Any]]:
    """The arrays of one npz. Raises BadArtifact unless it holds exactly those listed, uncompressed."""
    listed = facts.arrays
    if listed is None:
        raise BadArtifact(f"{path.name}: is not listed as arrays.")
    with open_plain(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                _refuse_strange_members(archive, path.name, set(listed), facts.bytes)
                return {name: _read_member(archive, path.name, name, listed[name]) for name in listed}
        except BadArtifact:
            raise
        except Exception as fault:  # zipfile and numpy raise a dozen kinds for bytes that are not theirs
            raise BadArtifact(f"{path.name}: can't be read as arrays: {fault}") from fault


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file for reading, never through a link. Raises BadArtifact."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as fault:
        why = "is a link" if fault.errno == errno.ELOOP else f"can't be opened: {fault.strerror}"
        raise BadArtifact(f"{path.name}: {why}.") from fault
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadArtifact(f"{path.name}: is not a plain file.")
    return os.fdopen(descriptor, "rb")


def make_folder(path: Path) -> None:
    """Make that folder (0700) lasting; it may be there already. Raises BadArtifact where something else is."""
    try:
        path.mkdir(0o700)
    except FileExistsError as there:
        if path.is_symlink() or not path.is_dir():
            raise BadArtifact(f"{path.name}: is not a folder.") from there
        return
    sync(path.parent)


def sync(folder: Path) -> None:
    """Make the names in a folder lasting."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a folder with all in it, or a link or file in its place; links are never followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def extent(path: Path) -> tuple[int, float]:
    """Bytes in a folder and when anything in it was last touched; what vanishes meanwhile doesn't count."""
    size, touched = 0, 0.0
    for folder, _, names in () if path.is_symlink() else os.walk(path):
        for inner in (Path(folder), *(Path(folder, name) for name in names)):
            with contextlib.suppress(FileNotFoundError):
                found = inner.lstat()
                size += found.st_size if stat.S_ISREG(found.st_mode) else 0
                touched = max(touched, found.st_mtime)
    return size, touched


def _write_npz(sink: _Sink, arrays: Arrays) -> None:
    """As np.savez, with the same bytes for the same arrays: dates are fixed and the order is the mapping's."""
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:  # type: ignore[call-overload]
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _facts(array: npt.NDArray[Any]) -> ArrayFacts:
    return ArrayFacts(dtype=array.dtype.str, shape=list(array.shape))


def _refuse_strange_members(archive: zipfile.ZipFile, file: str, listed: set[str], size: int) -> None:
    names = [member.filename for member in archive.infolist()]
    if sorted(names) != sorted(f"{name}.npy" for name in listed):
        raise BadArtifact(f"{file}: holds other arrays than its manifest lists.")
    for member in archive.infolist():
        stored = member.compress_type == zipfile.ZIP_STORED and member.compress_size == member.file_size
        if not stored or member.file_size > size:
            raise BadArtifact(f"{file}: array {member.filename} is compressed, which is never written.")


def _read_member(archive: zipfile.ZipFile, file: str, name: str, facts: ArrayFacts) -> npt.NDArray[Any]:
    """One array, once its own header says the listed type and shape and its bytes are as many as these need."""
    member = archive.getinfo(f"{name}.npy")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, _, dtype = header[version](stream)
        begin = stream.tell()
    if dtype.kind not in KINDS or dtype.str != facts.dtype or list(shape) != facts.shape:
        raise BadArtifact(f"{file}: array {name} is not of the type and shape its manifest lists.")
    if member.file_size - begin != math.prod(shape) * dtype.itemsize:
        raise BadArtifact(f"{file}: array {name} has not as many bytes as its shape needs.")
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)
