"""Downloads MovieLens from GroupLens: resumed where it broke off, and used only if size and checksum are right."""

from __future__ import annotations

import hashlib
import re
import threading
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

import requests

BASE = "https://files.grouplens.org/datasets/movielens"
# GroupLens publishes NAME.zip.md5 beside its files, and that is what counts; these stand in where it is missing.
# ml-latest-small is rebuilt from time to time: without a published sum its size and its zip's own sums must do.
MD5 = {
    "ml-latest-small": "",
    "ml-25m": "6b51fb2759a8657d3bfcbfc42b592ada",
    "ml-32m": "d472be332d4daa821edc399621853b57",
    "ml-1m": "c4d9eecfca2ab87c1945afe126590906",
    "ml-10m": "ce571fd55effeba0271552578f2648bd",
    "ml-100k": "0e33842e24a9c977be4e0107933c0723",
}
NAMES = tuple(MD5)
CONNECT, READ = 5.0, 30.0  # seconds
PIECE = 256 * 1024
MAX_BYTES = 2 * 1024**3
_DIGEST = re.compile(r"\b[0-9a-f]{32}\b")


class FetchFailed(Exception):
    """It could not be downloaded; the sentence says why and what to do. What came stays, to be resumed."""


class UnknownName(FetchFailed):
    """No data set of that name can be downloaded."""


def fetch(name: str, folder: Path, progress: Callable[[float], None], base: str = BASE) -> Path:
    """NAME.zip in `folder`, downloaded unless it is there already. `progress` gets the share done (0..1).

    Raises UnknownName and FetchFailed.
    """
    if name not in MD5:
        raise UnknownName(f"There is no data set {name!r} to fetch. There are: {', '.join(NAMES)}.")
    target, part, mark = (folder / f"{name}.zip{end}" for end in ("", ".part", ".part.etag"))
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        expected = _published(f"{base}/{name}.zip.md5") or MD5[name]
        _download(f"{base}/{name}.zip", part, mark, progress)
        mark.unlink(missing_ok=True)
        _check(part, expected)
        part.rename(target)
    except requests.Timeout:
        raise FetchFailed(f"{base} did not answer in time: try again later, what came is kept.") from None
    except requests.RequestException as error:
        raise FetchFailed(f"{name} can't be downloaded ({_why(error)}): try again later, what came is kept.") from None
    except OSError as error:
        raise FetchFailed(f"{folder} can't be written ({error.strerror or error}).") from None
    return target


def fetch_within(seconds: float, name: str, folder: Path, progress: Callable[[float], None]) -> Path:
    """`fetch`, given up after that long whatever it waits for. Raises UnknownName and FetchFailed.

    Looking a name up can't be given a time limit, so this happens in a thread that may be left behind.
    """
    done: Future[Path] = Future()
    late = threading.Event()

    def tell(share: float) -> None:
        if late.is_set():
            raise FetchFailed("Nobody waits for it any more.")
        progress(share)

    def work() -> None:
        try:
            done.set_result(fetch(name, folder, tell))
        except BaseException as error:  # handed to the one who waits
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return done.result(seconds)
    except FutureTimeout:
        late.set()
        raise FetchFailed(f"It took longer than {seconds:g} s: get it later with `flask data fetch {name}`.") from None


def _published(url: str) -> str:
    """The checksum beside the file; empty where there is none."""
    answer = requests.get(url, timeout=(CONNECT, READ))
    found = _DIGEST.search(answer.text[:1000].lower()) if answer.ok else None
    return found[0] if found else ""


def _download(url: str, part: Path, mark: Path, progress: Callable[[float], None]) -> None:
    """Bytes appended to `part`; from the start again if the file changed meanwhile (If-Range says so)."""
    version = mark.read_text() if mark.exists() else ""
    have = part.stat().st_size if part.exists() and version else 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT, READ)) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            raise FetchFailed(f"{url} doesn't fit what came before, which was removed: try again.")
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        done = have if resumed else 0
        rest = int(answer.headers.get("Content-Length", 0))  # if fewer bytes come, requests raises
        total = done + rest if rest else 0
        if total > MAX_BYTES:
            raise FetchFailed(f"{url} is larger than {MAX_BYTES // 1024**3} GB: it is refused.")
        mark.write_text(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")
        with part.open("ab" if resumed else "wb") as file:
            for piece in answer.iter_content(PIECE):
                file.write(piece)
                done += len(piece)
                if done > MAX_BYTES:
                    raise FetchFailed(f"{url} is larger than {MAX_BYTES // 1024**3} GB: it is refused.")
                progress(done / total if total else 0.0)


def _check(part: Path, expected: str) -> None:
    """The whole file against its checksum, or, where none is known, the zip's members against theirs."""
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found == expected or (not expected and _whole_zip(part)):
        return
    part.unlink()
    name = part.name.removesuffix(".part")
    said = f"has the checksum {found}, not {expected}" if expected else "is not a whole zip file"
    raise FetchFailed(f"{name} {said}: it was removed, try again.")


def _whole_zip(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        return False


def _why(error: requests.RequestException) -> str:
    return (
        f"{error.response.status_code} {error.response.reason}" if error.response is not None else type(error).__name__
    )
