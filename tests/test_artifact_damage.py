"""Damaged bytes and strange files: each fault is entered for real and named."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from artifact_kit import folder, load, made, refused, reseal, root, saved, synced

from movierec import artifacts
from movierec.artifacts import BadArtifact

__all__ = ["folder", "root", "saved", "synced"]  # fixtures


def each_place(folder, count):
    """(path, position) spread evenly over all bytes of all files."""
    sizes = [(path, path.stat().st_size) for path in sorted(folder.iterdir())]
    total = sum(size for _, size in sizes)
    for step in range(count):
        at = step * total // count
        for path, size in sizes:
            if at < size:
                yield path, at
                break
            at -= size


def test_every_flipped_bit_is_refused(root, folder):
    hit = Counter()
    for number, (path, at) in enumerate(each_place(folder, 200)):
        content = path.read_bytes()
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << number % 8]) + content[at + 1 :])
        assert path.name in refused(root, folder)
        path.write_bytes(content)
        hit[path.name] += 1
    assert set(hit) >= {"manifest.json", "state.npz", "index.npz"}
    load(root, folder.name)


def test_every_bit_of_the_manifest_counts(root, folder):
    path = folder / "manifest.json"
    content = path.read_bytes()
    for at in range(0, len(content), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        with pytest.raises(BadArtifact):
            artifacts.verify(root, "affine", folder.name)


@pytest.mark.parametrize("name", ["state.npz", "index.npz", "manifest.json", "notes.txt", "per_viewer-loo-full.npz"])
def test_a_truncated_or_longer_file_is_refused(root, folder, name):
    content = (folder / name).read_bytes()
    for changed in (b"", content[:1], content[: len(content) // 2], content[:-1], content + b"\n"):
        (folder / name).write_bytes(changed)
        assert name in refused(root, folder)


def test_a_zeroed_page_is_refused(root, folder):
    content = (folder / "state.npz").read_bytes()
    (folder / "state.npz").write_bytes(content[:4096] + bytes(4096) + content[8192:])
    refused(root, folder, r"state\.npz: its sha256")


def test_files_swapped_between_two_artefacts_are_refused(root, folder):
    other = root / "affine" / artifacts.save(root, made(seed=2), facts={}).folder
    shutil.copy(other / "state.npz", folder / "state.npz")
    refused(root, folder, r"state\.npz: its sha256")
    shutil.copy(folder / "index.npz", other / "index.npz")  # the same catalogue: the same bytes, so nothing is wrong
    load(root, other.name)
    shutil.copy(other / "manifest.json", folder / "manifest.json")
    refused(root, folder, rf"manifest\.json: belongs to affine/{other.name}")


def test_one_whole_artefact_in_the_place_of_another_is_refused(root, saved, folder):
    other = root / "affine" / artifacts.save(root, made(seed=2), facts={}).folder
    shutil.rmtree(folder)
    other.rename(folder)
    refused(root, folder, "belongs to")
    reseal(folder, lambda told: told.update(folder=folder.name))
    load(root, folder.name)  # nothing in the folder betrays it any more
    refused(root, folder, "not the one that was recorded", sha256=saved.sha256)  # but the row does


def test_a_manifest_that_is_none(root, folder):
    path = folder / "manifest.json"
    whole = json.loads(path.read_bytes())
    strange = [b"", b"\xff\xfe", b"[]", b"null", b"{", b"[" * 100_000, b" " * 1_000_001, b'{"format": NaN}']
    strange += [json.dumps({**whole, **change}).encode() for change in (
        {"format": 2}, {"format": "1"}, {"surprise": 1}, {"files": {"state.npz": "x"}}, {"facts": {"x": float("nan")}},
    )]  # fmt: skip
    for content in strange:
        path.write_bytes(content)
        refused(root, folder, r"manifest\.json: is not a manifest")
    path.write_bytes(json.dumps(whole).encode())  # the same words in another layout
    refused(root, folder, "changed after it was written")


@pytest.mark.parametrize("name", ["state.npz", "index.npz", "manifest.json", "notes.txt"])
def test_a_missing_file_is_named(root, folder, name):
    (folder / name).unlink()
    assert name in refused(root, folder)


def test_an_artefact_without_a_state_is_refused(root, folder):
    (folder / "state.npz").unlink()
    reseal(folder, lambda told: told["files"].pop("state.npz"), recount=False)
    refused(root, folder, r"state\.npz: is missing")


def test_an_unlisted_file_is_refused(root, folder):
    (folder / "state.pt").write_bytes(b"x")
    refused(root, folder, r"'state\.pt': is not listed")


@pytest.mark.parametrize("name", ["state.npz", "manifest.json"])
def test_a_link_is_refused(root, folder, name, tmp_path):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    refused(root, folder, f"{name}: is a link")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_plain_file_is_refused(root, folder, make):
    (folder / "state.npz").unlink()
    make(folder / "state.npz")
    refused(root, folder, r"state\.npz: is not a plain file")


def test_a_linked_folder_is_refused(root, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path / "copy")
    refused(root, folder, "missing")
    assert artifacts.delete(root, "affine", folder.name)
    assert (tmp_path / "copy" / "state.npz").exists()  # the link went, not what it pointed at
    (root / "affine").rmdir()
    (root / "affine").symlink_to(tmp_path)
    assert not artifacts.delete(root, "affine", folder.name)


def test_a_missing_folder_is_refused(root, folder):
    shutil.rmtree(folder)
    refused(root, folder, "the folder is missing")
