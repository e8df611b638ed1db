"""Downloads from a server of the test's own: resumed, checked, refused; nothing leaves the machine."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import zipped
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from movierec.sources import fetch
from movierec.sources.fetch import FetchFailed, UnknownName

CONTENT = bytes(range(256)) * 40
SUM = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
NAME = "ml-1m"


def serve(server: HTTPServer, content: bytes = CONTENT, *, md5: str = SUM, tag: str = '"v1"') -> list[Request]:
    """A server like GroupLens's: ranges, an ETag, the checksum beside the file. Gives the requests it gets."""
    asked: list[Request] = []

    def answer(request: Request) -> Response:
        asked.append(request)
        response = Response(content, headers={"ETag": tag})
        start = request.headers.get("Range", "")
        if start and request.headers.get("If-Range") == tag:
            first = int(start.removeprefix("bytes=").removesuffix("-"))
            if first >= len(content):
                return Response(status=416)
            response = Response(content[first:], 206, headers={"ETag": tag})
        return response

    server.expect_request(f"/{NAME}.zip").respond_with_handler(answer)
    server.expect_request(f"/{NAME}.zip.md5").respond_with_data(f"MD5 ({NAME}.zip) = {md5}\n")
    return asked


def fetched(server: HTTPServer, folder: Path, shares: list[float] | None = None) -> Path:
    told = [] if shares is None else shares
    return fetch.fetch(NAME, folder, told.append, base=server.url_for("/").rstrip("/"))


def test_a_file_comes_whole_with_progress(httpserver: HTTPServer, tmp_path: Path) -> None:
    serve(httpserver)
    shares: list[float] = []
    path = fetched(httpserver, tmp_path / "downloads", shares)
    assert path == tmp_path / "downloads" / "ml-1m.zip"
    assert path.read_bytes() == CONTENT
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert [file.name for file in path.parent.iterdir()] == ["ml-1m.zip"]


def test_what_is_there_is_not_fetched_again(httpserver: HTTPServer, tmp_path: Path) -> None:
    (tmp_path / "ml-1m.zip").write_bytes(b"mine")
    assert fetched(httpserver, tmp_path).read_bytes() == b"mine"
    assert not httpserver.log


def half(folder: Path, tag: str = '"v1"', content: bytes = CONTENT[:5000]) -> None:
    (folder / "ml-1m.zip.part").write_bytes(content)
    (folder / "ml-1m.zip.part.etag").write_text(tag)


def test_a_broken_off_download_goes_on(httpserver: HTTPServer, tmp_path: Path) -> None:
    asked = serve(httpserver)
    half(tmp_path)
    assert fetched(httpserver, tmp_path).read_bytes() == CONTENT
    assert (asked[0].headers["Range"], asked[0].headers["If-Range"]) == ("bytes=5000-", '"v1"')


def test_it_begins_again_where_the_file_has_changed_meanwhile(httpserver: HTTPServer, tmp_path: Path) -> None:
    serve(httpserver, tag='"v2"')
    half(tmp_path, content=b"of another version" * 300)
    assert fetched(httpserver, tmp_path).read_bytes() == CONTENT


def test_a_part_that_fits_nothing_is_removed(httpserver: HTTPServer, tmp_path: Path) -> None:
    serve(httpserver)
    half(tmp_path, content=CONTENT + b"too much")
    with pytest.raises(FetchFailed, match="try again"):
        fetched(httpserver, tmp_path)
    assert fetched(httpserver, tmp_path).read_bytes() == CONTENT


def test_a_server_without_an_etag_is_no_reason_to_mix_versions(httpserver: HTTPServer, tmp_path: Path) -> None:
    asked = serve(httpserver)
    half(tmp_path, tag="")
    assert fetched(httpserver, tmp_path).read_bytes() == CONTENT
    assert "Range" not in asked[0].headers


def test_a_wrong_checksum_is_refused_and_the_file_removed(httpserver: HTTPServer, tmp_path: Path) -> None:
    serve(httpserver, md5="0" * 32)
    with pytest.raises(FetchFailed, match=f"checksum {SUM}, not {'0' * 32}"):
        fetched(httpserver, tmp_path)
    assert list(tmp_path.glob("*.zip*")) == []


def test_without_a_published_checksum_the_table_counts(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request(f"/{NAME}.zip").respond_with_data(CONTENT)
    with pytest.raises(FetchFailed, match="not c4d9eecfca2ab87c1945afe126590906"):
        fetched(httpserver, tmp_path)
    monkeypatch.setitem(fetch.MD5, NAME, SUM)
    assert fetched(httpserver, tmp_path).read_bytes() == CONTENT


def test_where_no_checksum_is_known_the_zip_must_be_whole(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fetch.MD5, NAME, "")
    whole = zipped(tmp_path / "whole", {"a.csv": "text"}).read_bytes()
    httpserver.expect_ordered_request(f"/{NAME}.zip.md5").respond_with_data("", status=404)
    httpserver.expect_ordered_request(f"/{NAME}.zip").respond_with_data(whole[:-30])
    httpserver.expect_request(f"/{NAME}.zip").respond_with_data(whole)
    with pytest.raises(FetchFailed, match="not a whole zip"):
        fetched(httpserver, tmp_path)
    assert fetched(httpserver, tmp_path).read_bytes() == whole


def test_a_download_that_breaks_off_is_kept_for_the_next_time(httpserver: HTTPServer, tmp_path: Path) -> None:
    def cut(request: Request) -> Response:
        response = Response(CONTENT[:6000], headers={"ETag": '"v1"'})
        response.headers["Content-Length"] = str(len(CONTENT))
        response.automatically_set_content_length = False
        return response

    httpserver.expect_ordered_request(f"/{NAME}.zip.md5").respond_with_data(SUM)
    httpserver.expect_ordered_request(f"/{NAME}.zip").respond_with_handler(cut)
    with pytest.raises(FetchFailed, match="what came is kept"):
        fetched(httpserver, tmp_path)
    kept = (tmp_path / "ml-1m.zip.part").stat().st_size
    assert not (tmp_path / "ml-1m.zip").exists()
    httpserver.clear()
    asked = serve(httpserver)
    assert fetched(httpserver, tmp_path).read_bytes() == CONTENT
    assert kept == 0 or asked[0].headers["Range"] == f"bytes={kept}-"


def test_the_rest_may_come_without_a_length(httpserver: HTTPServer, tmp_path: Path) -> None:
    streamed = Response(iter([CONTENT[5000:]]), 206, headers={"ETag": '"v1"'})
    httpserver.expect_request(f"/{NAME}.zip.md5").respond_with_data(SUM)
    httpserver.expect_request(f"/{NAME}.zip").respond_with_handler(lambda request: streamed)
    half(tmp_path)
    assert fetched(httpserver, tmp_path).read_bytes() == CONTENT


def test_a_time_limit_holds_whatever_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one left behind stops at its next piece."""
    entered, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def stuck(name: str, folder: Path, progress: Callable[[float], None]) -> Path:
        entered.set()
        go_on.wait()
        try:
            progress(0.5)
        except FetchFailed:
            ended.set()
            raise
        return folder

    monkeypatch.setattr(fetch, "fetch", stuck)
    with pytest.raises(FetchFailed, match=r"longer than 0\.05 s: get it later with `flask data fetch ml-1m`"):
        fetch.fetch_within(0.05, NAME, tmp_path, lambda share: pytest.fail("nobody waits any more"))
    assert entered.wait(5)
    go_on.set()
    assert ended.wait(5)


def test_within_its_time_limit_it_is_as_without(httpserver: HTTPServer, tmp_path: Path) -> None:
    shares: list[float] = []
    (tmp_path / f"{NAME}.zip").write_bytes(b"mine")
    assert fetch.fetch_within(60, NAME, tmp_path, shares.append).read_bytes() == b"mine"
    with pytest.raises(UnknownName):
        fetch.fetch_within(60, "netflix", tmp_path, shares.append)


def test_a_missing_file_is_said(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request(f"/{NAME}.zip").respond_with_data("gone", status=404)
    with pytest.raises(FetchFailed, match="404"):
        fetched(httpserver, tmp_path)


@pytest.mark.parametrize("declared", [True, False])
def test_a_file_far_too_large_is_refused(
    httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, declared: bool
) -> None:
    monkeypatch.setattr(fetch, "MAX_BYTES", 100)
    if declared:
        serve(httpserver)
    else:
        streamed = Response(iter([CONTENT]), headers={"ETag": '"v1"'})
        httpserver.expect_request(f"/{NAME}.zip").respond_with_handler(lambda request: streamed)
    with pytest.raises(FetchFailed, match="larger than"):
        fetched(httpserver, tmp_path)


def test_a_silent_server_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "READ", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(FetchFailed, match="did not answer in time"):
            fetch.fetch(NAME, tmp_path, lambda share: None, base=f"http://127.0.0.1:{port}")
    assert fetch.CONNECT == 5.0


def test_no_server_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match="ConnectionError"):
        fetch.fetch(NAME, tmp_path, lambda share: None, base="http://127.0.0.1:1")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchFailed, match="can't be written"):
        fetch.fetch(NAME, tmp_path / "file" / "x", lambda share: None)


def test_unknown_names_are_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="ml-latest-small, ml-25m"):
        fetch.fetch("../../etc/passwd", tmp_path, lambda share: None)
