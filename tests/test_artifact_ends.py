"""A full disk and a sudden end at every step of a save: whole, or nothing."""

import errno
import os
import resource
import shutil
from collections import Counter
from types import SimpleNamespace

import pytest
from artifact_kit import folder, load, made, refused, root, saved, synced

from movierec import artifacts
from movierec.artifacts import DiskFull

__all__ = ["folder", "root", "saved", "synced"]  # fixtures


STEPS = ("mkdir", "write", "fsync", "rename")


def count_steps(monkeypatch, act):
    """Calls `act` before the n-th step that changes the disk; returns the counter."""
    seen = Counter()

    def watched(step, real):
        def call(*given, **named):
            seen["all"] += 1
            act(seen["all"], step)
            return real(*given, **named)

        return call

    for step in STEPS:
        monkeypatch.setattr(os, step, watched(step, getattr(os, step)))
    return seen


def steps_of_a_save(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        seen = count_steps(patch, lambda number, step: None)
        artifacts.save(tmp_path / "counted", made(), facts={})
    return seen["all"]


@pytest.mark.parametrize("lasting", [False, True])
def test_a_full_disk_at_every_step_leaves_nothing(root, tmp_path, lasting):
    root.mkdir()
    steps = steps_of_a_save(tmp_path)
    assert steps > 20
    for fail_at in range(2, steps + 1):  # the first makes root, which is there already

        def full(number, step, fail_at=fail_at):
            if number == fail_at or (lasting and number > fail_at and step != "rename"):
                raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            count_steps(patch, full)
            with pytest.raises(DiskFull, match=r"^disk full: needs 1\.\d MB, \d+\.\d MB free$"):
                artifacts.save(root, made(), facts={})
        assert [path for path in root.rglob("*") if path.name not in (".tmp", "affine")] == []
        shutil.rmtree(root)  # the next one makes its folders again
        root.mkdir()
    artifacts.save(root, made(), facts={})


def test_another_error_of_the_disk_stays_what_it_is(root, monkeypatch):
    def broken(number, step):
        if step == "fsync":
            raise OSError(errno.EIO, "Input/output error")

    count_steps(monkeypatch, broken)
    with pytest.raises(OSError, match="Input/output error"):
        artifacts.save(root, made(), facts={})
    assert not list(root.rglob("*.npz"))


def test_too_little_room_is_said_before_anything_is_written(root, monkeypatch):
    monkeypatch.setattr(artifacts.shutil, "disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(DiskFull, match=r"^disk full: needs 1\.0 MB, 1\.0 MB free$"):
        artifacts.save(root, made(), facts={})
    assert list(root.iterdir()) == []


def test_the_disk_may_take_a_few_bytes_at_a_time(root, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:999]))
    load(root, artifacts.save(root, made(), facts={}).folder)


def in_a_child(action):
    """Run `action` in a forked process; its exit status."""
    child = os.fork()
    if not child:
        try:
            action()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_limit_of_the_system_is_a_full_disk(root):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        with pytest.raises(DiskFull):
            artifacts.save(root, made(), facts={})
        os._exit(7)

    assert in_a_child(limited) == 7
    assert not list(root.rglob("*.npz"))


def test_a_sudden_end_at_every_step(root, tmp_path):
    whole = 0
    for end_at in range(1, steps_of_a_save(tmp_path) + 1):

        def killed(end_at=end_at):
            patch = pytest.MonkeyPatch()
            count_steps(patch, lambda number, step: number == end_at and os._exit(9))
            artifacts.save(root, made(), facts={})

        assert in_a_child(killed) == 9
        found = artifacts.orphans(root, known=())
        assert len(found) <= 1
        for orphan in found:
            if orphan.engine:  # renamed, but no row: whole, listed, and only loaded by who knows its name
                whole += 1
                artifacts.verify(root, "affine", orphan.folder)
                assert artifacts.delete(root, "affine", orphan.folder)
            else:  # half: no name reaches it
                refused(root, root / "affine" / orphan.folder, "missing")
        assert artifacts.sweep_temporary(root, older_than_s=0) == sum(not orphan.engine for orphan in found)
        assert artifacts.orphans(root, known=()) == []
        shutil.rmtree(root, ignore_errors=True)
    assert whole == 2  # before each of the two folders is made lasting
