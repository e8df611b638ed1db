"""Snapshots: sorted, whole or refused, never half there, and a data set of history and the site's own views."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from kit import NOON

from movierec.extensions import db, writing
from movierec.services import snapshots
from movierec.services.errors import Unavailable
from movierec.services.importing import silent
from movierec.services.snapshot_files import Writer, Written
from movierec.sources.base import Chunk
from movierec.tables import Run, Snapshot, View

# viewer, film, time, rating; in file order
ROWS = ((2, 10, 50, 4.0), (1, 20, 40, 3.0), (1, 10, 50, 5.0), (2, 30, 50, 0.5), (1, 30, 10, 1.5))


def chunk(*rows: tuple[int, int, int, float]) -> Chunk:
    viewers, films, times, ratings = zip(*rows, strict=True)
    return Chunk(
        np.array(viewers, dtype=np.int64), np.array(films, dtype=np.int64), np.array(times, dtype=np.int64),
        np.array(ratings, dtype=np.float32),
    )  # fmt: skip


def write(*chunks: Chunk) -> Written:
    writer = Writer(snapshots.root())
    for part in chunks:
        writer.append(part)
    return writer.finish("tiny", False, silent)


def used(*chunks: Chunk) -> Snapshot:
    written = write(*chunks)
    with writing() as session:
        return snapshots.put_in_use(session, written, "tiny", simulated=False, rejected=0)


@pytest.fixture
def snapshot(app_context: Flask) -> Snapshot:
    return used(chunk(*ROWS[:2]), chunk(*ROWS[2:]))


def test_events_are_in_order_of_time_then_of_the_file(snapshot: Snapshot) -> None:
    viewers, films, times, ratings = snapshots.events(snapshot)
    assert times.tolist() == [10, 40, 50, 50, 50]
    assert films.tolist() == [30, 20, 10, 10, 30]
    assert viewers.tolist() == [1, 1, 2, 1, 2]
    assert ratings.tolist() == [1.5, 3.0, 4.0, 5.0, 0.5]
    assert isinstance(times, np.memmap)


def test_no_transaction_is_open_while_events_are_read(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a training reads them: the row is known, the session closed."""
    asked, verify = [], snapshots.verify

    def spy(row: Snapshot) -> None:
        asked.append(db.session().in_transaction())
        verify(row)

    monkeypatch.setattr(snapshots, "verify", spy)
    assert snapshots.current() is snapshot
    db.session.remove()
    assert snapshots.dataset(snapshot, 0).n_events == 5
    assert asked == [False]


def test_the_row_counts_what_is_there(snapshot: Snapshot) -> None:
    found = snapshots.current()
    assert found is snapshot
    assert (found.events, found.viewers, found.movies, found.source) == (5, 2, 3, "tiny")


def test_no_snapshot_is_none(app_context: Flask) -> None:
    assert snapshots.current() is None
    assert snapshots.sweep() == []


def test_equal_events_have_equal_hashes(app_context: Flask) -> None:
    assert write(chunk(*ROWS)).sha256 == write(chunk(*ROWS[:2]), chunk(*ROWS[2:])).sha256
    assert write(chunk(*ROWS)).sha256 != write(chunk(*ROWS[1:])).sha256


def test_the_newest_is_active_and_only_it(snapshot: Snapshot) -> None:
    newer = used(chunk(*ROWS[:3]))
    assert snapshots.current() is newer
    assert not snapshot.active


def folders() -> set[str]:
    return {folder.name for folder in snapshots.root().iterdir()}


def test_the_sweep_keeps_what_is_needed_and_what_is_not_ours(snapshot: Snapshot) -> None:
    with writing() as session:
        session.add(Run(engine="popularity", params={}, snapshot_id=snapshot.id, code_version="1", state="done"))
    unneeded, active = used(chunk(*ROWS[:3])), used(chunk(*ROWS[:4]))
    foreign, half = write(chunk(*ROWS)).folder.name, Writer(snapshots.root())
    snapshots.expect(half.name)
    half.append(chunk(*ROWS))
    assert snapshots.sweep() == sorted([unneeded.folder, f".{half.name}"], key=lambda name: name.lstrip("."))
    assert folders() == {snapshot.folder, active.folder, foreign}
    half.discard()


def test_a_second_site_on_the_same_folder_leaves_the_first_ones_data(snapshot: Snapshot, make_app: Any) -> None:
    with make_app(DATA_DIR=snapshots.root().parent).app_context():
        assert snapshots.sweep() == []
    snapshots.verify(snapshot)


def test_a_discarded_one_leaves_nothing(app_context: Flask) -> None:
    writer = Writer(snapshots.root())
    writer.append(chunk(*ROWS))
    writer.discard()
    assert folders() == set()


def test_whole_ones_pass(snapshot: Snapshot) -> None:
    snapshots.verify(snapshot)


@pytest.mark.parametrize("name", ["viewer", "movie", "time", "rating"])
def test_one_flipped_bit_is_noticed(snapshot: Snapshot, name: str) -> None:
    path = snapshots.root() / snapshot.folder / f"{name}.npy"
    content = bytearray(path.read_bytes())
    content[-2] ^= 4
    path.write_bytes(content)
    with pytest.raises(Unavailable, match=rf"{name}\.npy is damaged"):
        snapshots.dataset(snapshot, 0)


def broken(snapshot: Snapshot, name: str, content: bytes | None) -> None:
    path = snapshots.root() / snapshot.folder / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", None),
        ("manifest.json", b"{"),
        ("manifest.json", b"[]"),
        ("manifest.json", b'{"files": {}}'),
        ("time.npy", None),
    ],
)
def test_what_is_missing_is_noticed(snapshot: Snapshot, name: str, content: bytes | None) -> None:
    broken(snapshot, name, content)
    with pytest.raises(Unavailable, match="can't be read"):
        snapshots.verify(snapshot)


@pytest.mark.parametrize("content", [None, b"", b"no array", b"\x80\x04."])
def test_columns_that_are_no_arrays_are_refused(snapshot: Snapshot, content: bytes | None) -> None:
    broken(snapshot, "time.npy", content)
    with pytest.raises(Unavailable, match="Import the data set again"):
        snapshots.events(snapshot)


def test_a_column_of_another_length_is_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    np.save(snapshots.root() / snapshot.folder / "time.npy", np.arange(4))
    with pytest.raises(Unavailable, match="doesn't hold 5 events"):
        snapshots.events(snapshot)


def test_a_manifest_of_other_events_is_noticed(snapshot: Snapshot) -> None:
    other = used(chunk(*ROWS[1:]))
    (snapshots.root() / snapshot.folder).rename(snapshots.root() / "aside")
    (snapshots.root() / other.folder).rename(snapshots.root() / snapshot.folder)
    with pytest.raises(Unavailable, match=r"manifest\.json is damaged"):
        snapshots.verify(snapshot)


def test_history_alone(snapshot: Snapshot) -> None:
    data = snapshots.dataset(snapshot, 0)
    assert data.viewer_ids.tolist() == [1, 2]
    assert [data.index.movie_id(int(item)) for item in data.history(0).items] == [30, 20, 10]
    assert [data.index.movie_id(int(item)) for item in data.history(1).items] == [10, 30]


def test_the_sites_own_views_take_part_up_to_the_cut_off(
    app: Flask, catalogue: dict[str, int], people: Callable[..., int]
) -> None:
    vera, demo = people("vera"), people("visitor", demo=True)
    with app.app_context():
        snapshot = used(chunk(*ROWS))
        assert snapshots.last_view() == 3  # Mina's, of the catalogue's fixture
        with writing() as session:
            session.add(View(user_id=vera, movie_id=1214, watched_at=NOON, rating=4.5))
            session.add(View(user_id=vera, movie_id=1200, watched_at=NOON, removed_at=NOON))
            session.add(View(user_id=demo, movie_id=1214, watched_at=NOON))
            session.flush()
            session.add(View(user_id=vera, movie_id=2571, watched_at=NOON - timedelta(days=1)))
        data = snapshots.dataset(snapshot, snapshots.last_view())
        assert data.viewer_ids.tolist() == [-vera, -1, 1, 2]
        own = data.history(0)
        assert [data.index.movie_id(int(item)) for item in own.items] == [2571, 1214]
        assert own.times.tolist() == [int(NOON.timestamp()) - 86400, int(NOON.timestamp())]
        assert np.isnan(own.ratings[0])
        assert own.ratings[1] == 4.5
        before = snapshots.dataset(snapshot, 3)
        assert before.viewer_ids.tolist() == [-1, 1, 2]
        assert snapshots.dataset(snapshot, 0).sha256 != before.sha256 != data.sha256
