"""Saves, verifies, loads and deletes the folders of trained engines: the only code that touches models/.

models/<engine>/<uuid>/ holds manifest.json (what it is; size and sha256 of each file; sealed by its own hash),
state.npz, index.npz and extra files. It is written in models/.tmp/<uuid>/, read back, tried, and only then renamed
into place. No pickle is read or written. No path is taken from a caller: a folder is named by its uuid, a file by
the manifest.

Errors: ArtifactError > BadArtifact, DiskFull.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

import movierec.artifact_files as files
from movierec import config
from movierec.artifact_files import Arrays, ArtifactError, BadArtifact, Content, DiskFull, FileFacts, Manifest
from movierec.dataset import History, ItemIndex
from movierec.engines import registry
from movierec.engines.base import Engine

Extra = Mapping[str, Content]  # file name -> what is in it

__all__ = [
    "ArtifactError", "BadArtifact", "DiskFull", "Manifest", "Orphan", "Saved",
    "delete", "load", "manifest", "orphans", "read", "save", "sweep_temporary", "verify",
]  # fmt: skip

MANIFEST, STATE, INDEX, TEMPORARY = "manifest.json", "state.npz", "index.npz", ".tmp"
MANIFEST_LIMIT = 1_000_000  # bytes
SPARE = 1_000_000  # bytes wanted free beyond the files themselves
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
FOLDER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SMOKE_K = 10


@dataclass(frozen=True)
class Saved:
    """What the row keeps: the folder's name, the manifest's hash (pins every byte) and the size of all files."""

    folder: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Orphan:
    """A folder that no row names; engine is "" for an unfinished one."""

    engine: str
    folder: str
    bytes: int
    age_s: float


def save(root: Path, engine: Engine, *, facts: Mapping[str, Any], dataset: str = "", add: Extra | None = None) -> Saved:
    """Write a fitted engine and extra files (npz from arrays, or bytes) as one folder that is whole or absent.

    `dataset` is the hash of what it was trained on; NaN in `facts` becomes null. Raises NotFitted, DiskFull,
    BadArtifact (what was written can't be used), ValueError (a name or a fact that can't be stored).
    """
    state, index = engine.state(), cast(ItemIndex, engine.index)
    slug, folder, extra = type(engine).slug, str(uuid.uuid4()), dict(add or {})
    contents: dict[str, Content] = {STATE: state, INDEX: {"movie_ids": index.movie_ids}, **extra}
    _refuse_unstorable(slug, contents, extra)
    told = json.loads(json.dumps(dict(facts)), parse_constant=lambda _: None)
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    need = SPARE + sum(files.weight(content) for content in contents.values())
    if shutil.disk_usage(root).free < need:
        raise DiskFull(_no_room(root, need))
    temporary, final = root / TEMPORARY / folder, root / slug / folder
    try:
        for path in (temporary.parent, temporary, final.parent):
            files.make_folder(path)
        written = {name: files.write_file(temporary / name, content) for name, content in contents.items()}
        manifest = _described(engine, index, folder, dataset, told, written)
        seal = files.write_file(temporary / MANIFEST, manifest.content())
        files.sync(temporary)
        _restored(temporary, _verified(temporary, slug, folder, seal.sha256), type(engine))
        temporary.rename(final)
        files.sync(final.parent)
        files.sync(temporary.parent)
    except BaseException as fault:
        with contextlib.suppress(OSError):  # where it was in place already: out of sight first, then away
            final.rename(temporary)
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(fault, OSError) and fault.errno in files.FULL:
            raise DiskFull(_no_room(root, need)) from fault
        raise
    return Saved(folder, seal.sha256, seal.bytes + sum(file.bytes for file in written.values()))


def load(
    root: Path,
    engine_slug: str,
    folder: str,
    *,
    sha256: str | None = None,
    engine: type[Engine] | None = None,
) -> Engine:
    """The engine in that folder, verified, restored and tried. Raises BadArtifact.

    `sha256` is the manifest's hash that the row kept; `engine` is its class where it isn't a registered one.
    """
    manifest = verify(root, engine_slug, folder, sha256=sha256)
    return _restored(root / engine_slug / folder, manifest, engine)


def verify(root: Path, engine_slug: str, folder: str, *, sha256: str | None = None) -> Manifest:
    """The folder's manifest once every file is proven to be what was written. Raises BadArtifact."""
    return _verified(_located(root, engine_slug, folder), engine_slug, folder, sha256)


def manifest(root: Path, engine_slug: str, folder: str, *, sha256: str | None = None) -> Manifest:
    """The folder's manifest alone, which says what the files should be; they are not looked at. Raises BadArtifact."""
    return _manifest(_located(root, engine_slug, folder), engine_slug, folder, sha256)


def read(root: Path, engine_slug: str, folder: str, name: str, *, sha256: str | None = None) -> Arrays:
    """The arrays of one extra npz, verified alone. Raises BadArtifact where there is none or it was changed."""
    path = _located(root, engine_slug, folder)
    manifest = _manifest(path, engine_slug, folder, sha256)
    if name not in manifest.files:
        raise BadArtifact(f"{name!r}: is not listed in the manifest.")
    files.check_file(path / name, manifest.files[name])
    return files.read_npz(path / name, manifest.files[name])


def delete(root: Path, engine_slug: str, folder: str) -> bool:
    """Remove that folder, whatever state it is in; False where there was none. Raises BadArtifact for a bad name."""
    path = _named(root, engine_slug, folder)
    if path.parent.is_symlink() or not os.path.lexists(path):
        return False
    files.make_folder(root / TEMPORARY)
    away = root / TEMPORARY / str(uuid.uuid4())
    path.rename(away)  # never half a folder under its own name
    files.sync(path.parent)
    files.remove(away)
    return True


def orphans(root: Path, known: Collection[str], older_than_s: float = 0) -> list[Orphan]:
    """Folders whose uuid is not in `known`, and unfinished ones, untouched for that long. Nothing is removed.

    What bears another name than a uuid was put there by a person and is left to them.
    """
    found = []
    for parent in sorted(root.iterdir()) if root.is_dir() else ():
        slug = "" if parent.name == TEMPORARY else parent.name
        if parent.is_symlink() or not parent.is_dir() or (slug and not SLUG.fullmatch(slug)):
            continue
        for path in sorted(parent.iterdir()):
            size, touched = files.extent(path)
            age = max(0.0, time.time() - touched)
            ours = FOLDER.fullmatch(path.name) and path.name not in known
            if age >= older_than_s and (ours or not slug):
                found.append(Orphan(slug, path.name, size, age))
    return found


def sweep_temporary(root: Path, older_than_s: float) -> int:
    """Remove unfinished folders untouched for that long; how many there were."""
    stale = [orphan for orphan in orphans(root, (), older_than_s) if not orphan.engine]
    for orphan in stale:
        files.remove(root / TEMPORARY / orphan.folder)
    return len(stale)


def _described(
    engine: Engine, index: ItemIndex, folder: str, dataset: str, facts: dict[str, Any], written: dict[str, FileFacts]
) -> Manifest:
    return Manifest(
        format=1,
        folder=folder,
        engine=type(engine).slug,
        params=engine.params.model_dump(mode="json"),
        vocabulary=index.sha256,
        dataset=dataset,
        versions=_versions(),
        facts=facts,
        files=written,
        seal="",
    ).sealed()


def _named(root: Path, engine_slug: str, folder: str) -> Path:
    """The one place where names become a path. Raises BadArtifact unless both are names this module gives."""
    if not (isinstance(engine_slug, str) and SLUG.fullmatch(engine_slug)):
        raise BadArtifact("This is not the name of an engine.")
    if not (isinstance(folder, str) and FOLDER.fullmatch(folder)):
        raise BadArtifact("This is not the name of an artefact's folder.")
    return root / engine_slug / folder


def _located(root: Path, engine_slug: str, folder: str) -> Path:
    path = _named(root, engine_slug, folder)
    for part in (path.parent, path):
        if part.is_symlink() or not part.is_dir():
            raise BadArtifact(f"{engine_slug}/{folder}: the folder is missing.")
    return path


def _manifest(path: Path, engine_slug: str, folder: str, sha256: str | None) -> Manifest:
    with files.open_plain(path / MANIFEST) as file:
        content = file.read(MANIFEST_LIMIT + 1)
    try:
        if len(content) > MANIFEST_LIMIT:
            raise ValueError(f"longer than {MANIFEST_LIMIT} bytes")
        manifest = Manifest.model_validate(json.loads(content))
        changed = manifest.sealed() != manifest or manifest.content() != content
    except (ValueError, RecursionError) as fault:
        raise BadArtifact(f"{MANIFEST}: is not a manifest: {fault}") from fault
    if changed:
        raise BadArtifact(f"{MANIFEST}: was changed after it was written.")
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise BadArtifact(f"{MANIFEST}: is not the one that was recorded when it was saved.")
    if (manifest.engine, manifest.folder) != (engine_slug, folder):
        raise BadArtifact(f"{MANIFEST}: belongs to {manifest.engine}/{manifest.folder}, not here.")
    return manifest


def _verified(path: Path, engine_slug: str, folder: str, sha256: str | None) -> Manifest:
    manifest = _manifest(path, engine_slug, folder, sha256)
    present, listed = {entry.name for entry in path.iterdir()}, {MANIFEST, *manifest.files}
    if missing := sorted({STATE, INDEX, *listed} - present):
        raise BadArtifact(f"{missing[0]}: is missing.")
    if unlisted := sorted(present - listed):
        raise BadArtifact(f"{unlisted[0]!r}: is not listed in the manifest.")
    for name, facts in manifest.files.items():
        files.check_file(path / name, facts)
    return manifest


def _restored(path: Path, manifest: Manifest, engine: type[Engine] | None) -> Engine:
    """A new engine from verified files, tried on two histories."""
    state, vocabulary = (files.read_npz(path / name, manifest.files[name]) for name in (STATE, INDEX))
    _refuse_not_finite(state)
    try:
        index = ItemIndex(vocabulary["movie_ids"])
        if index.sha256 != manifest.vocabulary:
            raise BadArtifact(f"{INDEX}: is not the catalogue its manifest names.")
        cls = registry.get(manifest.engine) if engine is None else engine
        made = cls(cls.Params.model_validate_json(json.dumps(manifest.params)))
        made.restore(state, index)
        _smoke(made, len(index))
    except BadArtifact:
        raise
    except Exception as fault:  # an engine's own code on foreign numbers: whatever it raises, this can't be used
        raise BadArtifact(f"{STATE}: {manifest.engine} can't be restored from it: {fault!r}") from fault
    return made


def _smoke(engine: Engine, n_items: int) -> None:
    histories = [History.of([]), History.of([1])]
    for history, picks in zip(histories, engine.recommend(histories, SMOKE_K), strict=True):
        if not picks and n_items > len(history):
            raise BadArtifact(f"{STATE}: the engine recommends nothing.")
        if any(not math.isfinite(p.score) or not 1 <= p.item <= n_items or p.item in history.items for p in picks):
            raise BadArtifact(f"{STATE}: the engine recommends what it can't mean.")


def _refuse_unstorable(slug: str, contents: Extra, extra: Extra) -> None:
    """Raises ValueError before anything is written."""
    if not SLUG.fullmatch(slug):
        raise ValueError(f"{slug!r} is not a name for an engine")
    if taken := {STATE, INDEX, MANIFEST} & set(extra):
        raise ValueError(f"{sorted(taken)[0]} is a name of the artefact's own")
    for name, content in contents.items():
        files.refuse_unstorable(name, content)


def _refuse_not_finite(state: Arrays) -> None:
    for name, array in state.items():
        if array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise BadArtifact(f"{STATE}: array {name} holds a number that is not finite.")


def _versions() -> dict[str, str]:
    return {"movierec": config.VERSION, "numpy": np.__version__, "python": platform.python_version()}


def _no_room(root: Path, need: int) -> str:
    free = shutil.disk_usage(root).free
    return f"disk full: needs {need / 1e6:.1f} MB, {free / 1e6:.1f} MB free"
