"""What is saved comes back as it was; what can't be saved, deleted or listed is refused in words."""

import hashlib
import os
import platform
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from artifact_kit import INDEX, Affine, N, folder, load, made, root, saved, synced

import movierec.artifact_files as files
from movierec import artifacts, config
from movierec.artifacts import BadArtifact
from movierec.dataset import History
from movierec.engines import registry
from movierec.engines.base import NotFitted
from movierec.engines.registry import UnknownEngine

__all__ = ["folder", "root", "saved", "synced"]  # fixtures


def test_what_was_saved_comes_back(root, saved):
    engine, again = made(), load(root, saved.folder, sha256=saved.sha256)
    histories = [History.of([]), History.of([5, 7])]
    assert again.recommend(histories, 9) == engine.recommend(histories, 9)
    assert again.params == engine.params
    assert again.index.sha256 == INDEX.sha256


def test_the_manifest_says_what_it_is(root, saved, folder):
    manifest = artifacts.verify(root, "affine", saved.folder, sha256=saved.sha256)
    assert (manifest.format, manifest.engine, manifest.params) == (1, "affine", {"seed": 1, "width": 4})
    assert (manifest.vocabulary, manifest.dataset) == (INDEX.sha256, "d" * 64)
    assert manifest.facts == {"hr@10": 0.25, "epochs": 3}
    ours = {"movierec": config.VERSION, "numpy": np.__version__, "python": platform.python_version()}
    assert manifest.versions == ours
    assert manifest.files["state.npz"].arrays["factors.0"].model_dump() == {"dtype": "<f4", "shape": [N + 1, 4]}
    content = (folder / "manifest.json").read_bytes()
    assert saved.sha256 == hashlib.sha256(content).hexdigest()
    assert saved.bytes == sum(path.stat().st_size for path in folder.iterdir())


def test_extra_files_are_kept(folder):
    assert (folder / "notes.txt").read_bytes() == b"kept as it is"
    with np.load(folder / "per_viewer-loo-full.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["hr.10"], [0.0, np.nan])


def test_one_extra_file_is_read_alone(root, saved, folder):
    name = "per_viewer-loo-full.npz"
    read = artifacts.read(root, "affine", saved.folder, name, sha256=saved.sha256)
    np.testing.assert_array_equal(read["hr.10"], [0.0, np.nan])
    with pytest.raises(BadArtifact, match=r"'other\.npz': is not listed"):
        artifacts.read(root, "affine", saved.folder, "other.npz")
    with pytest.raises(BadArtifact, match="not the one that was recorded"):
        artifacts.read(root, "affine", saved.folder, name, sha256="0" * 64)
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(BadArtifact, match="bytes long"):
        artifacts.read(root, "affine", saved.folder, name)


def test_every_file_and_then_every_folder_is_made_lasting(root, saved, folder, synced):
    half = root / ".tmp" / saved.folder
    names = ["state.npz", "index.npz", "per_viewer-loo-full.npz", "notes.txt", "manifest.json"]
    assert synced == [
        *(root, root / ".tmp", root),  # the folders made: .tmp, the one in it, affine
        *(half / name for name in names),
        *(half, root / "affine", root / ".tmp"),  # before the rename, and both ends after it
    ]


def test_only_the_owner_may_look(root, folder):
    everything = [root, root / ".tmp", root / "affine", folder, *folder.iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in everything} == {0}
    assert not list((root / ".tmp").iterdir())


def test_the_same_engine_gives_the_same_bytes(root):
    names = [artifacts.save(root, made(), facts={}).folder for _ in range(2)]
    first, second = ((root / "affine" / name / "state.npz").read_bytes() for name in names)
    assert first == second


def test_numpy_reads_it_too(folder):
    with np.load(folder / "state.npz", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["bias", "factors.0"]


def test_arrays_of_every_storable_kind(tmp_path):
    arrays = {
        "a": np.array(3), "b": np.zeros((0, 4)), "c": np.array(["film", "é"]), "d": np.asfortranarray(np.eye(3)),
        "e": np.arange(6)[::2], "f": np.array([True, False]), "g": np.array([1 + 2j]), "h": np.array([b"x"]),
        "i": np.array([1], dtype=">i4"),
    }  # fmt: skip
    facts = files.write_file(tmp_path / "x.npz", arrays)
    files.check_file(tmp_path / "x.npz", facts)
    again = files.read_npz(tmp_path / "x.npz", facts)
    assert {name: (a.dtype, a.tolist()) for name, a in again.items()} == {
        name: (a.dtype, a.tolist()) for name, a in arrays.items()
    }


def test_facts_that_are_no_number_become_null(root):
    saved = artifacts.save(root, made(), facts={"a": float("nan"), "b": [float("inf"), (1, 2)]})
    assert artifacts.verify(root, "affine", saved.folder).facts == {"a": None, "b": [None, [1, 2]]}


def test_the_registry_knows_the_class(root, saved, monkeypatch):
    monkeypatch.setattr(registry, "get", {"affine": Affine}.__getitem__)
    assert isinstance(artifacts.load(root, "affine", saved.folder), Affine)


def test_an_engine_that_is_gone(root, saved, monkeypatch):
    def gone(slug):
        raise UnknownEngine("There is no engine 'affine'.")

    monkeypatch.setattr(registry, "get", gone)
    with pytest.raises(BadArtifact, match="There is no engine 'affine'"):
        artifacts.load(root, "affine", saved.folder)


@pytest.mark.parametrize(
    ("add", "match"),
    [
        ({"state.npz": b""}, "the artefact's own"),
        ({"manifest.json": b""}, "the artefact's own"),
        ({"../x.npz": b""}, "not a name for a file"),
        ({".hidden": b""}, "not a name for a file"),
        ({"x.npz": {"../a": np.zeros(1)}}, "not a name for an array"),
        ({"x.npz": {"a": np.array([None])}}, "without pickle"),
        ({"x.npz": {"a": np.zeros(1, dtype="i4,f4")}}, "without pickle"),
    ],
)
def test_names_and_types_that_cannot_be_stored(root, add, match):
    with pytest.raises(ValueError, match=match):
        artifacts.save(root, made(), facts={}, add=add)
    assert not root.exists()


def test_an_untrained_engine_and_a_nameless_one(root, monkeypatch):
    with pytest.raises(NotFitted):
        artifacts.save(root, Affine(), facts={})
    monkeypatch.setattr(Affine, "slug", "../affine")
    with pytest.raises(ValueError, match="not a name for an engine"):
        artifacts.save(root, made(), facts={})
    assert not root.exists()


def test_numbers_that_are_not_finite_are_refused_at_save(root):
    engine = made()
    engine.bias[3] = np.nan
    with pytest.raises(BadArtifact, match="array bias holds"):
        artifacts.save(root, engine, facts={})
    assert not list(root.rglob("*.npz"))


def test_something_else_in_the_place_of_a_folder(root, tmp_path):
    root.mkdir()
    (root / "affine").write_bytes(b"")
    with pytest.raises(BadArtifact, match="affine: is not a folder"):
        artifacts.save(root, made(), facts={})
    (root / "affine").unlink()
    (root / "affine").symlink_to(tmp_path)
    with pytest.raises(BadArtifact, match="affine: is not a folder"):
        artifacts.save(root, made(), facts={})
    assert not list((root / ".tmp").iterdir())


def test_deleting(root, saved, folder):
    other = artifacts.save(root, made(), facts={})
    assert artifacts.delete(root, "affine", saved.folder)
    assert not folder.exists()
    assert not artifacts.delete(root, "affine", saved.folder)
    assert [path.name for path in (root / "affine").iterdir()] == [other.folder]
    assert not list((root / ".tmp").iterdir())


def test_a_file_in_the_place_of_a_folder_can_be_deleted(root, folder):
    shutil.rmtree(folder)
    folder.write_bytes(b"x")
    assert artifacts.delete(root, "affine", folder.name)
    assert not folder.exists()


def test_orphans_are_listed_and_nothing_else(root, saved, folder, tmp_path):
    other = artifacts.save(root, made(), facts={})
    (root / ".tmp" / "half").mkdir()
    (root / ".tmp" / "half" / "state.npz").write_bytes(b"12345")
    (root / "Readme").mkdir()  # no engine has such a name
    (root / "linked").symlink_to(tmp_path)
    (root / "affine" / "by-hand").mkdir()  # not ours
    away = saved.folder[:-2] + "00"
    (root / "affine" / away).symlink_to(tmp_path)
    (root / "note.txt").write_bytes(b"")
    found = artifacts.orphans(root, known={saved.folder})
    listed = {(orphan.engine, orphan.folder, orphan.bytes) for orphan in found}
    assert listed == {("", "half", 5), ("affine", other.folder, other.bytes), ("affine", away, 0)}
    assert all(orphan.age_s >= 0 for orphan in found)
    assert load(root, other.folder)  # listing takes nothing away


def test_only_what_is_old_is_swept(root, saved):
    for name, age in (("young", 100), ("old", 90_000), ("busy", 90_000)):
        (root / ".tmp" / name).mkdir()
        (root / ".tmp" / name / "state.npz").write_bytes(b"x")
        then = root.stat().st_mtime - age
        os.utime(root / ".tmp" / name / "state.npz", None if name == "busy" else (then, then))
        os.utime(root / ".tmp" / name, (then, then))
    assert artifacts.sweep_temporary(root, older_than_s=86_400) == 1
    assert sorted(path.name for path in (root / ".tmp").iterdir()) == ["busy", "young"]
    assert artifacts.sweep_temporary(root, older_than_s=0) == 2
    load(root, saved.folder)


def test_sweeping_where_there_is_nothing(root):
    assert artifacts.orphans(root, known=()) == []
    assert artifacts.sweep_temporary(root, older_than_s=0) == 0


def test_what_vanishes_while_it_is_listed_does_not_matter(root, saved, folder, monkeypatch):
    real = Path.lstat

    def lstat(path):
        if path.name == "state.npz":
            path.unlink()
        return real(path)

    monkeypatch.setattr(Path, "lstat", lstat)
    size = (folder / "state.npz").stat().st_size
    assert [orphan.bytes for orphan in artifacts.orphans(root, known=())] == [saved.bytes - size]
