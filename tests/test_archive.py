"""Zips and folders: found by name, streamed, refused when they are bombs, cut off, locked or no text."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from layouts import written, zipped

from movierec.sources import archive
from movierec.sources.archive import BadSource, open_archive, rows


def test_a_file_is_found_by_its_last_name_nearest_to_the_top(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "a.zip", {"deep/er/x.csv": "deeper", "deep/x.csv": "right", "__MACOSX/x.csv": "no", "._x.csv": "no"}
    )
    with open_archive(path) as found, found.open("X.CSV") as stream:
        assert stream.read() == b"right"
        assert found.size("x.csv") == len("right")


def test_names_that_point_outside_are_not_there(tmp_path: Path) -> None:
    names = ("../movies.csv", "/ratings.csv", "a/../../links.csv", "..\\tags.csv", "C:evil.csv")
    path = zipped(tmp_path / "slip.zip", dict.fromkeys(names, "x"))
    with open_archive(path) as found:
        assert not any(found.has(name) for name in ("movies.csv", "ratings.csv", "links.csv", "tags.csv", "evil.csv"))


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    path = zipped(tmp_path / "bomb.zip", {"ratings.csv": b"\0" * (archive.BLOCK + 1)})
    with open_archive(path) as found, pytest.raises(BadSource, match="times its size"), found.open("ratings.csv"):
        pass


def test_a_file_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    path = zipped(tmp_path / "large.zip", {"ratings.csv": "01234567890"})
    with open_archive(path) as found, pytest.raises(BadSource, match="larger than"), found.open("ratings.csv"):
        pass


def test_a_zip_of_very_many_files_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "many.zip", {f"{at}.csv": "" for at in range(archive.MAX_MEMBERS + 1)})
    with pytest.raises(BadSource, match="files"):
        open_archive(path)


@pytest.mark.parametrize("keep", [0, 10, 100])
def test_a_cut_off_zip_is_refused(tmp_path: Path, keep: int) -> None:
    whole = zipped(tmp_path / "a.zip", {"ratings.csv": "x" * 1000}).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:keep])
    with pytest.raises(BadSource, match="not a whole zip file"):
        open_archive(tmp_path / "cut.zip")


def test_a_damaged_member_is_refused_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("ratings.csv", "userId" * 100)
    content = bytearray(path.read_bytes())
    content[content.index(b"userIduserId") + 50] ^= 1
    path.write_bytes(content)
    with open_archive(path) as found, pytest.raises(BadSource, match="damaged"), found.open("ratings.csv") as stream:
        stream.read()


def test_a_locked_member_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"ratings.csv": "x"})
    content = bytearray(path.read_bytes())
    for head, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(head) + at] |= 1  # the flag "encrypted"
    path.write_bytes(content)
    with open_archive(path) as found, pytest.raises(BadSource, match="unpacked"), found.open("ratings.csv"):
        pass


def test_a_folder_is_looked_into_one_level_deep(tmp_path: Path) -> None:
    written(tmp_path / "set", {"ml/movies.csv": "x", "ml/a/ratings.csv": "x"})
    with open_archive(tmp_path / "set") as found:
        assert found.has("movies.csv")
        assert not found.has("ratings.csv")
        with pytest.raises(BadSource, match=r"holds no ratings\.csv"):
            found.member("ratings.csv")


def test_a_file_that_goes_while_it_is_needed(tmp_path: Path) -> None:
    written(tmp_path / "set", {"movies.csv": "x"})
    with open_archive(tmp_path / "set") as found:
        (tmp_path / "set" / "movies.csv").unlink()
        with pytest.raises(BadSource, match="can't be read"), found.open("movies.csv"):
            pass


def test_a_plain_csv_is_an_archive_of_itself(tmp_path: Path) -> None:
    written(tmp_path, {"one.csv": "x", "two.csv": "y"})
    with open_archive(tmp_path / "one.csv") as found:
        assert found.has("one.csv")
        assert not found.has("two.csv")


@pytest.mark.parametrize("name", ["absent.zip", "text.zip"])
def test_what_is_no_archive_is_refused(tmp_path: Path, name: str) -> None:
    written(tmp_path, {"text.zip": "this is a text"})
    with pytest.raises(BadSource):
        open_archive(tmp_path / name)


def test_a_path_that_no_system_can_read(tmp_path: Path) -> None:
    with pytest.raises(BadSource, match="can't be read"):
        open_archive(tmp_path / ("x" * 5000))


def test_a_device_is_neither_file_nor_folder() -> None:
    with pytest.raises(BadSource, match="neither"):
        open_archive(Path("/dev/null"))


@pytest.mark.parametrize(
    ("inside", "stem", "label"),
    [("ml-25m", "download", "ml-25m"), ("", "ml-1m", "ml-1m"), ("", "a b/c"[:3], "a-b")],
)
def test_a_data_set_is_called_by_its_folder_or_its_file(tmp_path: Path, inside: str, stem: str, label: str) -> None:
    with open_archive(zipped(tmp_path / f"{stem}.zip", {"movies.csv": "x"}, inside)) as found:
        assert found.label == label


def read(tmp_path: Path, content: bytes) -> list[tuple[int, list[str]]]:
    written(tmp_path, {"x.csv": content})
    with open_archive(tmp_path / "x.csv") as found:
        return list(rows(found, "x.csv", header=("a", "b")))


def test_rows_know_the_line_they_start_on(tmp_path: Path) -> None:
    found = read(tmp_path, b'\xef\xbb\xbfa,b\r\n1,"two\nlines"\r\n3,4\r\n')
    assert found == [(1, ["a", "b"]), (2, ["1", "two\nlines"]), (4, ["3", "4"])]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "doesn't begin with a,b"),
        (b"1,2\n", "doesn't begin with a,b"),
        (b"a,b\n1,2", "middle of line 2"),
        (b"a,b\n1,\0\n", "line 2 holds a NUL"),
        (b'a,b\n1,"never closed\n2,3\n', "line 2 can't be read: a quote is never closed"),
        (b'a,b\n1,"x" y\n', "line 2 can't be read"),
        (b"a,b\n1," + b"x" * 200_000 + b"\n", "line 2 can't be read: field larger"),
        (b"a,b\n1," + b"x" * 2_000_000 + b"\n", "line 2 is longer than 1 MB"),
    ],
)
def test_what_is_no_csv_is_refused_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(BadSource, match=said):
        read(tmp_path, content)


def test_a_lenient_reading_still_sees_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    written(tmp_path, {"x.csv": 'a,b\n1,"x" y\n2,"open\n'})
    with open_archive(tmp_path / "x.csv") as found, pytest.raises(BadSource, match=r"line 3 .* never closed"):
        list(rows(found, "x.csv", header=("a", "b"), strict=False))


def test_bytes_that_are_no_utf8_are_found() -> None:
    assert archive.unreadable(["fine", b"caf\xe9".decode("utf-8", "surrogateescape")]) == "is not UTF-8"
    assert archive.unreadable(["bell \a"]) == "holds control characters"
    assert archive.unreadable(["fine\tand\nwell", "é"]) == ""
