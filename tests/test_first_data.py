"""The first data of a fresh site: what lies there, else a download, else the starter; never anything over data."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from layouts import CSV, DAT, K100, metadata, written, zipped
from test_metadata import TOY
from test_movies_dataset import SMALL

from movierec.config import ROOT
from movierec.extensions import db
from movierec.services import first_data, importing, snapshots
from movierec.services.errors import Refused, Unavailable
from movierec.sources import fetch
from movierec.tables import Movie


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers at GroupLens's address."""
    monkeypatch.setattr(fetch.fetch, "__defaults__", ("http://127.0.0.1:1",))


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    """A folder for MOVIEREC_DATASETS."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    return folder


@pytest.fixture
def site(make_app: Callable[..., Flask], datasets: Path, offline: None) -> Flask:
    return make_app(MOVIEREC_DATASETS=str(datasets))


def test_ml_latest_small_comes_first_with_its_metadata(site: Flask, datasets: Path) -> None:
    zipped(datasets / "ml-latest-small.zip", CSV, "ml-latest-small")
    zipped(datasets / "movies-dataset-small.zip", SMALL)
    zipped(datasets / "tiny.zip", DAT)
    toy = TOY | {"id": "9087", "imdb_id": "tt0112346"}
    zipped(datasets / first_data.METADATA, {"movies_metadata.csv": metadata(toy)})
    with site.app_context():
        assert first_data.first_data() == [
            "Imported ml-latest-small: 5 films, 2 viewers, 5 events.",
            "1 films have facts from metadata-for-ml-latest-small.zip.",
        ]
        film = db.session.get(Movie, 1)
        assert film is not None
        assert film.runtime == 81
        assert first_data.first_data() == []


def test_metadata_that_is_none_is_passed_over(site: Flask, datasets: Path) -> None:
    zipped(datasets / "ml-latest-small.zip", CSV, "ml-latest-small")
    zipped(datasets / first_data.METADATA, {"readme.txt": "no"})
    with site.app_context():
        assert "metadata-for-ml-latest-small.zip was passed over" in first_data.first_data()[1]


def test_then_the_movies_dataset_then_the_smallest_other(site: Flask, datasets: Path) -> None:
    zipped(datasets / "zz.zip", DAT)
    written(datasets / "big", CSV | {"movies.csv": CSV["movies.csv"] * 20})
    zipped(datasets / "movies-dataset-small.zip", SMALL)
    with site.app_context():
        assert [path.name for path in first_data.candidates()] == ["movies-dataset-small.zip", "zz.zip", "big"]


def test_the_data_folder_and_its_downloads_are_looked_into_too(site: Flask, datasets: Path) -> None:
    data = Path(site.config["DATA_DIR"])
    written(data / "downloads", {"ml-1m.zip": zipped(datasets / "x.txt", DAT).read_bytes()})
    written(data / "mine", K100)
    written(data / "starter", {"a.csv": "no data set"})
    with site.app_context():
        assert {path.name for path in first_data.candidates()} == {"ml-1m.zip", "mine"}
        assert first_data.find("ml-1m").parent.name == "downloads"


def test_one_that_cannot_be_used_is_said_and_the_next_taken(site: Flask, datasets: Path) -> None:
    zipped(datasets / "ml-latest-small.zip", CSV | {"ratings.csv": "broken"})
    zipped(datasets / "other.zip", DAT)
    with site.app_context():
        said = first_data.first_data()
        assert said[0].startswith("ml-latest-small.zip was passed over: ratings.csv ends in the middle")
        assert said[1].startswith("Imported other: 2 films")


def test_without_any_it_is_fetched(
    site: Flask, datasets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = zipped(tmp_path / "ml-latest-small.zip", CSV, "ml-latest-small")

    def arrives(name: str, folder: Path, progress: Callable[[float], None]) -> Path:
        progress(1.0)
        assert (name, folder.name) == ("ml-latest-small", "downloads")
        return there

    monkeypatch.setattr(fetch, "fetch", arrives)
    with site.app_context():
        assert first_data.first_data() == ["Imported ml-latest-small: 5 films, 2 viewers, 5 events."]


def test_without_a_network_it_is_the_starter_and_says_so(make_app: Callable[..., Flask], offline: None) -> None:
    with make_app(MOVIEREC_DATASETS="/nowhere/at/all").app_context():
        said = first_data.first_data()
        assert said[0].startswith("Nothing was downloaded: ml-latest-small can't be downloaded")
        assert "starter" in said[1]
        assert "800 simulated viewers, 60,000 events" in said[1]
        snapshot = snapshots.current()
        assert snapshot is not None
        assert snapshot.simulated


def test_a_download_that_takes_too_long_is_not_waited_for_and_no_transaction_meanwhile(
    site: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it hangs in, the name's look-up too, a first start ends; here with the starter catalogue."""
    asked, go_on = [], threading.Event()

    def stuck(name: str, folder: Path, progress: Callable[[float], None]) -> Path:
        go_on.wait()
        return folder

    monkeypatch.setattr(fetch, "fetch", stuck)
    monkeypatch.setattr(first_data, "PATIENCE", 0.05)
    within = fetch.fetch_within
    with site.app_context():

        def spy(*arguments: Any) -> Path:
            asked.append(db.session().in_transaction())
            return within(*arguments)

        monkeypatch.setattr(fetch, "fetch_within", spy)
        said = first_data.first_data()
    go_on.set()
    assert "took longer than 0.05 s" in said[0]
    assert "Imported starter" in said[1]
    assert asked == [False]


def test_a_link_to_nowhere_in_a_folder_is_passed_over(site: Flask, datasets: Path) -> None:
    (written(datasets / "linked", DAT) / "gone.csv").symlink_to(datasets / "nowhere")
    with site.app_context():
        assert [path.name for path in first_data.candidates()] == ["linked"]


def test_a_file_that_goes_while_sizes_are_added_counts_nothing(
    site: Flask, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(datasets / "short-lived", DAT)
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: [*self.iterdir(), self / "was-here.csv"])
    with site.app_context():
        assert first_data.candidates() == [folder]


def test_a_relative_folder_of_data_sets_is_the_projects(
    make_app: Callable[..., Flask], datasets: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The web server, the worker and a command may be started in different folders."""
    path = zipped(datasets / "ml-latest-small.zip", CSV)
    app = make_app(MOVIEREC_DATASETS=os.path.relpath(datasets, ROOT))
    monkeypatch.chdir(tmp_path)
    with app.app_context():
        assert first_data.candidates() == [path]


def test_a_site_with_data_is_left_alone(site: Flask, datasets: Path) -> None:
    with site.app_context():
        importing.import_source(written(datasets / "a", DAT))
        before = snapshots.current()
        zipped(datasets / "ml-latest-small.zip", CSV)
        assert first_data.first_data() == []
        assert snapshots.current() is before


def test_names_are_found_or_refused(site: Flask) -> None:
    with site.app_context():
        with pytest.raises(Refused, match=r"no data set of that name: ml-latest-small, .*starter"):
            first_data.find("netflix")
        with pytest.raises(Unavailable, match="can't be downloaded"):
            first_data.find("ml-25m")
        with pytest.raises(Refused, match="There is no data set"):
            first_data.download("netflix")
