"""The first data of a fresh site: what lies there, else a download, else the starter; never anything over data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from layouts import CSV, DAT, K100, metadata, written, zipped
from test_metadata import TOY
from test_movies_dataset import SMALL

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
        assert said[0].startswith("ml-latest-small could not be fetched: ml-latest-small can't be downloaded")
        assert "starter" in said[1]
        assert "800 simulated viewers, 60,000 events" in said[1]
        snapshot = snapshots.current()
        assert snapshot is not None
        assert snapshot.simulated


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
