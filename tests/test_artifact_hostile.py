"""Whole and sealed, yet unusable or hostile: nothing runs, nothing is unpacked, no name reaches the disk."""

import io
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from artifact_kit import INDEX, Affine, Hostile, N, folder, load, made, refused, reseal, root, saved, synced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import movierec.artifact_files as files
from movierec import artifacts
from movierec.artifacts import BadArtifact
from movierec.dataset import ItemIndex

__all__ = ["folder", "root", "saved", "synced"]  # fixtures


def rewrite(folder, arrays, name="state.npz"):
    """Other arrays, with a manifest that lists them."""
    (folder / name).unlink()
    facts = files.write_file(folder / name, arrays)
    reseal(folder, lambda told: told["files"].update({name: facts.model_dump()}))


def test_the_wrong_engine_is_refused(root, folder):
    (root / "other").mkdir()
    folder.rename(root / "other" / folder.name)
    with pytest.raises(BadArtifact, match=f"belongs to affine/{folder.name}"):
        artifacts.load(root, "other", folder.name, engine=Affine)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_arrays_that_are_not_finite_are_refused(root, folder, value):
    state = made().state()
    state["factors.0"][17, 2] = value
    rewrite(folder, state)
    refused(root, folder, r"state\.npz: array factors\.0 holds a number that is not finite")


def test_another_catalogue_is_refused(root, folder):
    rewrite(folder, {"movie_ids": INDEX.movie_ids + 1}, "index.npz")
    refused(root, folder, r"index\.npz: is not the catalogue")


@pytest.mark.parametrize("arrays", [{"movie_ids": np.array([3, 1])}, {"films": np.array([1])}])
def test_a_catalogue_that_is_none_is_refused(root, folder, arrays):
    rewrite(folder, arrays, "index.npz")
    refused(root, folder)


@pytest.mark.parametrize("change", [{"width": 99}, {"width": 5}, {"deep": 1}, {"seed": -1}])
def test_params_that_do_not_fit_are_refused(root, folder, change):
    reseal(folder, lambda told: told["params"].update(change))
    refused(root, folder, r"state\.npz: affine can't be restored")


def test_a_missing_or_misshapen_array_is_refused(root, folder):
    state = made().state()
    rewrite(folder, {"bias": state["bias"]})
    refused(root, folder, "can't be restored")
    rewrite(folder, {**state, "bias": state["bias"][:-1]})
    refused(root, folder, "do not fit the catalogue")


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (lambda pick: [[], []], "recommends nothing"),
        (lambda pick: [[pick(4, 1.0)], [pick(1, 1.0)]], "what it can't mean"),
        (lambda pick: [[pick(4, np.nan)], []], "what it can't mean"),
        (lambda pick: [[pick(N + 1, 1.0)], []], "what it can't mean"),
        (lambda pick: [[pick(4, 1.0)]], "can't be restored"),
    ],
)
def test_an_engine_that_gives_nonsense_is_refused_at_load_and_at_save(root, folder, monkeypatch, answer, match):
    def pick(item, score):
        return SimpleNamespace(item=item, score=score)

    monkeypatch.setattr(Affine, "recommend", lambda self, histories, k, exclude=None: answer(pick))
    refused(root, folder, match)
    before = set((root / "affine").iterdir())
    with pytest.raises(BadArtifact, match=match):
        artifacts.save(root, made(), facts={})
    assert (set((root / "affine").iterdir()), list((root / ".tmp").iterdir())) == (before, [])


def test_a_catalogue_of_one_film_can_be_saved(root):
    saved = artifacts.save(root, made(ItemIndex(np.array([9]))), facts={})
    assert len(load(root, saved.folder).index) == 1


def test_a_hostile_pickle_is_never_read(root, folder, tmp_path):
    marker = tmp_path / "marker"
    buffer = io.BytesIO()
    np.savez(buffer, bias=np.array([Hostile(marker)], dtype=object), **{"factors.0": made().factors})
    for name in ("state.npz", "index.npz"):
        content, manifest = (folder / name).read_bytes(), (folder / "manifest.json").read_bytes()
        (folder / name).write_bytes(buffer.getvalue())
        refused(root, folder, rf"{name}: is \d+ bytes long")
        reseal(folder)
        refused(root, folder, rf"{name}: ")
        reseal(folder, lambda told, n=name: told["files"][n].update(arrays={
            "bias": {"dtype": "|O", "shape": [1]}, "factors.0": {"dtype": "<f4", "shape": [N + 1, 4]}}))  # fmt: skip
        refused(root, folder, rf"{name}: array bias")
        (folder / name).write_bytes(content)
        (folder / "manifest.json").write_bytes(manifest)
    assert not marker.exists()
    buffer.seek(0)
    np.load(buffer, allow_pickle=True)["bias"]  # the payload is a real one
    assert marker.exists()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def zipped(members, method=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def test_zips_that_are_not_ours_are_refused(root, folder):
    state = made().state()
    good = [("bias.npy", npy(state["bias"])), ("factors.0.npy", npy(state["factors.0"]))]
    huge = npy(np.zeros(3, np.float32)).replace(b"(3,), }", b"(999999999999,), }")
    cases = {
        "holds other arrays": [zipped([*good, (name, b"x")]) for name in ("../../evil.npy", "/etc/evil", "x.npy")]
        + [zipped(good[:1]), zipped([*good, ("bias.npy/", b"")])],
        "is compressed": [zipped(good, zipfile.ZIP_DEFLATED), zipped(good, zipfile.ZIP_LZMA)],
        "type and shape": [
            zipped([("bias.npy", huge), good[1]]),
            zipped([("bias.npy", npy(np.zeros(N + 1))), good[1]]),
        ],
        "as many bytes": [zipped([("bias.npy", good[0][1][:-8]), good[1]])],
        "can't be read as arrays": [
            zipped([("bias.npy", b"no array"), good[1]]),
            zipped([("bias.npy", b"\x93NUMPY\x07\x00"), good[1]]),
            b"PK\x05\x06",
            b"",
            npy(state["bias"]),
        ],
    }
    for match, contents in cases.items():
        for content in contents:
            (folder / "state.npz").write_bytes(content)
            reseal(folder)
            refused(root, folder, rf"state\.npz: .*{match}")
    (folder / "state.npz").write_bytes(zipped(good))
    reseal(folder)
    load(root, folder.name)  # the kit itself makes a good one
    assert not list(root.parent.rglob("*evil*"))


def test_a_bomb_is_refused_before_it_is_unpacked(root, folder):
    bomb = zipped([("bias.npy", bytes(50_000_000)), ("factors.0.npy", b"")], zipfile.ZIP_DEFLATED)
    stored = zipped([("bias.npy", b"x" * 100), ("factors.0.npy", b"")])
    liar = stored.replace((100).to_bytes(4, "little"), (4_000_000_000).to_bytes(4, "little"))
    for content in (bomb, liar):
        (folder / "state.npz").write_bytes(content)
        reseal(folder)
        refused(root, folder, "compressed")


def test_a_state_that_is_listed_as_bytes_is_refused(root, folder):
    reseal(folder, lambda told: told["files"]["state.npz"].update(arrays=None))
    refused(root, folder, r"state\.npz: is not listed as arrays")


ROOTS = ["..", "../..", "/etc", ".tmp", ".", "", "affine", "C:", "~", "\\\\host\\share"]
TAILS = [
    "passwd", "canary", "../canary", "..\\canary", "%2e%2e%2fcanary", "canary#x", "canary?x", "canary\0", "\n", "*",
    "./canary", "....//canary", "..;/canary", "{uuid}/../canary", "{uuid}\n", "{uuid}/", "{UUID}", "{uuid}\0",
    "{uuid} ", "\u2025/canary",
]  # fmt: skip


def test_two_hundred_names_that_are_no_names(root, saved, folder):
    (root / "canary").mkdir()
    (root.parent / "canary").mkdir()
    names = [f"{start}/{end}" for start in ROOTS for end in TAILS]
    assert len(names) == 200
    names = [name.replace("{uuid}", saved.folder).replace("{UUID}", saved.folder.upper()) for name in names + TAILS]
    for name in [*names, *ROOTS, None, 7, folder, saved.folder.encode()]:
        for ask in (artifacts.verify, artifacts.delete, load_by_name):
            with pytest.raises(BadArtifact, match="not the name"):
                ask(root, "affine", name)
            if name not in ("affine", "passwd", "canary"):  # these might be engines
                with pytest.raises(BadArtifact, match="not the name"):
                    ask(root, name, saved.folder)
    assert (root / "canary").exists()
    load(root, saved.folder)


def load_by_name(root, slug, folder):
    return artifacts.load(root, slug, folder, engine=Affine)


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_text_reaches_the_disk(tmp_path, slug, folder):
    with pytest.raises(BadArtifact):
        artifacts.load(tmp_path, slug, folder, engine=Affine)
