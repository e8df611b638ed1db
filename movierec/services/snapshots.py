"""Historic events in use: which snapshot is active, its columns, and the data set of it and the site's own views."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from flask import current_app
from sqlalchemy import func, select, update

from movierec.dataset import Dataset
from movierec.extensions import db
from movierec.services import settings
from movierec.services.errors import Unavailable
from movierec.services.snapshot_files import COLUMNS, MANIFEST, Written, file_sha256, whole_sha256
from movierec.tables import Run, Snapshot, User, View

EXPECTED = "snapshot being imported"  # the setting that names its folder
REMEDY = "Import the data set again (flask data import)."


class Events(NamedTuple):
    """A snapshot's columns, memory-mapped, in order of time; equal seconds keep the order of the source's file."""

    viewers: npt.NDArray[np.integer]
    movie_ids: npt.NDArray[np.integer]
    times: npt.NDArray[np.int64]
    ratings: npt.NDArray[np.float32]


def root() -> Path:
    """The folder that snapshots lie in."""
    return Path(current_app.config["DATA_DIR"]) / "snapshots"


def current() -> Snapshot | None:
    """The snapshot that feeds trainings; None while nothing has been imported."""
    return db.session.scalar(select(Snapshot).where(Snapshot.active))


def events(snapshot: Snapshot) -> Events:
    """The snapshot's events, memory-mapped. Raises Unavailable where the folder is missing or not whole."""
    folder = root() / snapshot.folder
    columns = []
    for name in COLUMNS:
        try:
            column = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise Unavailable(f"The events in {folder} can't be read ({error}). {REMEDY}") from None
        if column.shape != (snapshot.events,):
            raise Unavailable(f"{folder / name}.npy doesn't hold {snapshot.events:,} events. {REMEDY}")
        columns.append(column)
    return Events(*columns)


def verify(snapshot: Snapshot) -> None:
    """Raises Unavailable unless every byte is as it was written."""
    folder = root() / snapshot.folder
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        told = {f"{name}.npy": manifest["files"][f"{name}.npy"]["sha256"] for name in COLUMNS}
        found = {name: file_sha256(folder / name) for name in told}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Unavailable(f"The events in {folder} can't be read ({error}). {REMEDY}") from None
    damaged = [name for name in told if told[name] != found[name]]
    if damaged or whole_sha256(found) != snapshot.sha256:
        raise Unavailable(f"{folder / (damaged[0] if damaged else MANIFEST)} is damaged. {REMEDY}")


def last_view() -> int:
    """The highest view id so far: the cut-off that a run writes down before its data is read."""
    return db.session.scalar(select(func.max(View.id))) or 0


def dataset(snapshot: Snapshot, views_until: int) -> Dataset:
    """The snapshot's events and the site's own live views with an id up to `views_until` (0: none of them).

    The site's viewers are negative: -user_id. Demo accounts' views take no part. Raises Unavailable.
    """
    own = _own_views(views_until)
    db.session.rollback()  # no transaction stays open while files are read and sorted
    verify(snapshot)
    history = events(snapshot)
    if own is None:
        return Dataset.from_events(*history)
    return Dataset.from_events(
        np.concatenate([history.viewers, own.viewers]),
        np.concatenate([history.movie_ids, own.movie_ids]),
        np.concatenate([history.times, own.times]),
        np.concatenate([history.ratings, own.ratings]),
    )


def _own_views(views_until: int) -> Events | None:
    people = select(User.id).where(User.demo.is_(False))
    found = db.session.execute(
        select(View.user_id, View.movie_id, View.watched_at, View.rating)
        .where(View.id <= views_until, View.removed_at.is_(None), View.user_id.in_(people))
        .order_by(View.id)
    ).all()
    if not found:
        return None
    return Events(
        np.array([-view.user_id for view in found], dtype=np.int32),
        np.array([view.movie_id for view in found], dtype=np.int32),
        np.array([int(view.watched_at.timestamp()) for view in found], dtype=np.int64),
        np.array([np.nan if view.rating is None else view.rating for view in found], dtype=np.float32),
    )


def put_in_use(session: Any, written: Written, source: str, *, simulated: bool, rejected: int) -> Snapshot:
    """The written folder's row, active in place of the one before; inside the caller's writing transaction."""
    session.execute(update(Snapshot).where(Snapshot.active).values(active=False))
    row = Snapshot(
        source=source,
        simulated=simulated,
        folder=written.folder.name,
        sha256=written.sha256,
        events=written.events,
        viewers=written.viewers,
        movies=len(written.counts),
        rejected=rejected,
        active=True,
    )
    session.add(row)
    session.flush()
    return row


def expect(folder: str) -> None:
    """Note the name of the folder that an import is about to write, so that the next one may sweep it up."""
    settings.put(EXPECTED, folder)


def sweep() -> list[str]:
    """Remove this site's folders that nothing needs; only while no import runs.

    Kept are the active one and those that a run was trained on, so that its numbers can be made again. A folder that
    this database never heard of is somebody else's: two sites may share DATA_DIR by mistake.
    """
    used = select(Run.snapshot_id).where(Run.snapshot_id.is_not(None))
    needed = set(db.session.scalars(select(Snapshot.folder).where(Snapshot.active | Snapshot.id.in_(used))))
    ours = {*db.session.scalars(select(Snapshot.folder)), settings.get(EXPECTED, "")} - {""}
    gone = []
    for name in sorted(ours - needed):
        for folder in (root() / name, root() / f".{name}"):
            if folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)
                gone.append(folder.name)
    return gone
