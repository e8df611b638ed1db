"""What an opened row of the list tells of a run: its numbers by protocol, segments, origin, what can be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import current_app

from movierec import artifacts
from movierec.evaluation import protocol as protocols
from movierec.evaluation.scorecard import COST, K
from movierec.services import judging, laboratory, measuring, runs
from movierec.tables import Measurement, MetricRow

GROUPS = {
    "viewers": "Viewers by their history", "films": "Films by how known they are", "genre": "Genres",
    "decade": "Decades", "kept": "Films known of a viewer",
}  # fmt: skip


@dataclass(frozen=True)
class Number:
    """One line of the table: a metric, and its row under each protocol measured, in their order."""

    title: str
    cells: list[MetricRow | None]


@dataclass(frozen=True)
class Offer:
    """A protocol without numbers: to be measured on this run, or (another split) by a new training."""

    protocol: protocols.Protocol
    here: bool
    seconds: float | None  # what a training took
    asked: Measurement | None  # waits, or failed the last time


@dataclass(frozen=True)
class Details:
    """All of an opened row."""

    sheet: laboratory.Sheet
    measured: list[protocols.Protocol]
    numbers: list[Number]
    offers: list[Offer]
    segments: dict[str, list[MetricRow]]  # title of the group -> NDCG@10 (recall@10 of several targets) by segment
    versions: dict[str, str]  # what it was made with


def details(run_id: int) -> Details:
    """All about this run in one piece. Raises NotFound."""
    sheet = laboratory.sheet(run_id)
    parts = [part.protocol for part in sheet.measured]
    by_protocol = [{(row.metric, row.k): row for row in part.rows} for part in sheet.measured]
    keys = dict.fromkeys(key for rows in by_protocol for key in rows if key[1] in (K, None))
    numbers = [
        Number(
            runs.label(next(rows[key] for rows in by_protocol if key in rows)), [rows.get(key) for rows in by_protocol]
        )
        for key in keys
    ]
    asked = {row.protocol: row for row in measuring.of_run(run_id)}
    run = sheet.run
    offers = [
        Offer(how, how.split == run.split, run.fit_seconds, asked.get(how.id))
        for how in protocols.PROTOCOLS.values()
        if how not in parts or how.id in asked
    ]
    return Details(sheet, parts, numbers, offers if run.artifact else [], _segments(run_id), _versions(sheet))


def _segments(run_id: int) -> dict[str, list[MetricRow]]:
    """Of the protocol that is measured first."""
    rows = [
        row for row in runs.metric_rows(run_id) if row.protocol != COST and not judging.is_of_everybody(row.segment)
    ]
    found: dict[str, list[MetricRow]] = {}
    for row in rows:
        if row.protocol == rows[0].protocol and row.metric == "ndcg" and row.k == K:
            found.setdefault(GROUPS.get(row.segment.partition(":")[0], "Others"), []).append(row)
    return found


def _versions(sheet: laboratory.Sheet) -> dict[str, str]:
    """The versions in the artefact's manifest; none where it can't be read."""
    run = sheet.run
    if run.artifact is None:
        return {}
    root = Path(current_app.config["MODELS_DIR"])
    try:
        return dict(artifacts.manifest(root, run.engine, run.artifact, sha256=run.artifact_sha256).versions)
    except artifacts.BadArtifact:
        return {}
