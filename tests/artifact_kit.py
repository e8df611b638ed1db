"""A small engine, its folder on the disk, and the tools to damage it. Fixtures are imported by name."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import Field

from movierec import artifacts
from movierec.artifacts import BadArtifact
from movierec.dataset import ItemIndex
from movierec.engines.base import BadState, NotFitted, Params, ScoringEngine

N = 600
INDEX = ItemIndex(np.arange(1, N + 1) * 3)


class Affine(ScoringEngine):
    """Scores are one row plus what the last film adds: small, deterministic, with two arrays to restore."""

    slug, title, summary, needs = "affine", "Affine", "For tests.", ()

    class Params(Params):
        width: int = Field(4, ge=1, le=64)

    bias = factors = None

    def fit(self, data, report, validate=None):
        raise NotImplementedError

    def state(self):
        if self.index is None:
            raise NotFitted("Affine is not trained.")
        return {"bias": self.bias, "factors.0": self.factors}

    def restore(self, arrays, index):
        bias, factors = arrays["bias"], arrays["factors.0"]
        if bias.shape != (len(index) + 1,) or factors.shape != (len(index) + 1, self.params.width):
            raise BadState("arrays do not fit the catalogue")
        self.bias, self.factors, self.index = bias, factors, index

    def scores(self, histories):
        last = [history.items[-1] if len(history) else 0 for history in histories]
        return self.bias + self.factors[last] @ self.factors.T


def made(index=INDEX, seed=1, width=4):
    rng, engine = np.random.default_rng(seed), Affine(Affine.Params(width=width))
    engine.bias = rng.random(len(index) + 1, dtype=np.float32)
    engine.factors = rng.random((len(index) + 1, width), dtype=np.float32)
    engine.index = index
    return engine


def load(root, folder, **more):
    return artifacts.load(root, "affine", folder, engine=Affine, **more)


@pytest.fixture(autouse=True)
def synced(monkeypatch):
    """Paths that were fsynced, without the wait: no test pulls a plug."""
    paths = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: paths.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    return paths


@pytest.fixture
def root(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def saved(root):
    extra = {"per_viewer-loo-full.npz": {"hr.10": np.array([0.0, np.nan])}, "notes.txt": b"kept as it is"}
    return artifacts.save(root, made(), facts={"hr@10": 0.25, "epochs": 3}, dataset="d" * 64, add=extra)


@pytest.fixture
def folder(root, saved):
    return root / "affine" / saved.folder


def refused(root, folder, match=".", **more):
    with pytest.raises(BadArtifact, match=match) as told:
        load(root, folder.name, **more)
    return str(told.value)


def reseal(folder, change=lambda manifest: None, recount=True):
    """As an attacker who knows the format would: hashes and seal fit whatever now lies there."""
    told = json.loads((folder / "manifest.json").read_bytes())
    for name, facts in told["files"].items() if recount else ():
        content = (folder / name).read_bytes()
        facts.update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    change(told)
    (folder / "manifest.json").write_bytes(artifacts.Manifest.model_validate(told).sealed().content())


class Hostile:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)
