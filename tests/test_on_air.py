"""On air, through its pages: the gate with what is known, going back, two people at once, and a look beforehand."""

from __future__ import annotations

import re
import shutil

import numpy as np
from flask import Flask
from kit import Browser
from sqlalchemy import update
from training_kit import row_of, trained

from movierec.extensions import db, writing
from movierec.services import preview, runs, serving
from movierec.tables import MetricRow, Movie, Run


def air(app: Flask) -> tuple[int | None, int]:
    with app.app_context():
        row = serving.on_air()
        return row.run_id, row.version


def said(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)).replace("&#39;", "'")


def unlike(app: Flask, run_id: int) -> None:
    """Make the run one of other data: there is no verdict on it any more."""
    with app.app_context(), writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(dataset_sha256="0" * 64))


def test_nothing_was_put_on_air_yet(sam: Browser) -> None:
    page = sam.get("/lab/on-air")
    assert "Nothing was put on air yet" in page.text
    assert 'hx-get="/lab/on-air/candidates"' in page.text
    assert "No other finished run was judged yet" in sam.fragment("/lab/on-air/candidates").text


def test_putting_on_air_through_the_gate_and_rolling_back(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    assert f'href="/lab/runs/{first}/on-air"' in sam.get(f"/lab/runs/{first}").text
    gate = sam.get(f"/lab/runs/{first}/on-air")
    assert "Nothing else is on air" in said(gate)
    assert 'name="version" value="0"' in gate.text
    assert 'name="knowing"' not in gate.text
    answer = sam.submit(f"/lab/runs/{first}/on-air", {"why": "good", "version": "0"})
    assert (answer.status_code, answer.location) == (303, "/lab/on-air")
    assert "Put on air…" not in sam.get(f"/lab/runs/{first}").text
    gate = sam.get(f"/lab/runs/{second}/on-air")
    assert f"No clear difference between quick #{second} and quick #{first}" in said(gate)
    assert "Put on air against" not in gate.text
    moved = sam.submit(f"/lab/runs/{second}/on-air", {"why": "better", "version": "1"}, htmx=True)
    assert moved.headers["HX-Redirect"] == "/lab/on-air"
    assert air(trainable) == (second, 2)
    history = said(sam.get("/lab/on-air"))
    assert "2 in all" in history
    assert f"Roll back to quick #{first}" in history
    assert "sam : better" in history
    assert f"No clear difference between quick #{second} and quick #{first}" in history  # what was known then
    assert sam.submit("/lab/roll-back", {"version": "2"}).status_code == 303
    assert air(trainable) == (first, 3)
    assert "Rolled back with one click; no reason was given." in sam.get("/lab").text


def test_the_gate_comes_as_a_dialog_where_a_script_asks(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    part = sam.fragment(f"/lab/runs/{run_id}/on-air").text.strip()
    assert part.startswith("<dialog")
    assert 'form method="dialog"' in part
    assert "<dialog" not in sam.get(f"/lab/runs/{run_id}/on-air").text


def test_without_evidence_it_takes_a_second_confirmation(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    sam.submit(f"/lab/runs/{first}/on-air", {"why": "good", "version": "0"})
    unlike(trainable, second)
    asked = sam.submit(f"/lab/runs/{second}/on-air", {"why": "new data", "version": "1"})
    assert asked.status_code == 409
    assert "learnt from different data" in said(asked)
    assert "Put on air without evidence" in asked.text
    assert "new data" in asked.text  # what was typed stays
    assert air(trainable) == (first, 1)
    assert sam.submit(f"/lab/runs/{second}/on-air", {"why": "", "version": "1", "knowing": "yes"}).status_code == 422
    again = sam.submit(f"/lab/runs/{second}/on-air", {"why": "new data", "version": "1", "knowing": "yes"})
    assert again.status_code == 303
    assert air(trainable) == (second, 2)
    assert "There is no verdict against quick" in said(sam.get("/lab/on-air"))


def test_the_second_of_two_scientists_sees_the_first_ones_change_and_decides_again(
    sam: Browser, trainable: Flask
) -> None:
    first, second = trained(trainable), trained(trainable)
    sam.get(f"/lab/runs/{second}/on-air")
    sam.submit(f"/lab/runs/{first}/on-air", {"why": "good", "version": "0"})
    late = sam.submit(f"/lab/runs/{second}/on-air", {"why": "too late", "version": "0"})
    assert late.status_code == 409
    assert f"sam put run #{first} on air meanwhile (good)." in said(late)
    assert 'name="version" value="1"' in late.text  # the same form, for what is on air by now
    assert f"Keep quick #{first}" in said(late)
    assert air(trainable) == (first, 1)
    same = sam.submit(f"/lab/runs/{first}/on-air", {"why": "me too", "version": "0"})
    assert same.status_code == 409
    assert "What was known then" in same.text  # there is nothing left to decide: the history says so


def test_what_cannot_go_on_air_says_why_and_changes_nothing(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    sam.submit(f"/lab/runs/{first}/on-air", {"why": "good", "version": "0"})
    blank = sam.submit(f"/lab/runs/{second}/on-air", {"why": " ", "version": "1"})
    assert blank.status_code == 422
    assert "Say why" in blank.text
    assert sam.submit(f"/lab/runs/{second}/on-air", {"why": "x", "version": "one"}).status_code == 422
    assert air(trainable) == (first, 1)
    shutil.rmtree(trainable.config["MODELS_DIR"] / "quick" / row_of(trainable, second).artifact)
    broken = sam.submit(f"/lab/runs/{second}/on-air", {"why": "x", "version": "1", "knowing": "yes"})
    assert broken.status_code == 422
    assert "the folder is missing" in broken.text
    with trainable.app_context(), writing() as session:
        session.execute(update(Run).where(Run.id == second).values(artifact=None))
    assert sam.get(f"/lab/runs/{second}/on-air").status_code == 422
    lost = sam.submit(f"/lab/runs/{second}/on-air", {"why": "x", "version": "1", "knowing": "yes"})
    assert lost.status_code == 422
    assert "has no artefact" in lost.text
    stale = sam.submit("/lab/roll-back", {"version": "1"})
    assert stale.status_code == 409
    assert "nothing to go back to" in stale.text
    assert sam.submit("/lab/runs/4711/on-air", {"why": "x", "version": "1"}).status_code == 404
    assert air(trainable) == (first, 1)


def test_candidates_come_with_a_verdict(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    offered = said(sam.fragment("/lab/on-air/candidates"))
    assert "nothing is on air" in offered
    sam.submit(f"/lab/runs/{first}/on-air", {"why": "good", "version": "0"})
    offered = said(sam.get("/lab/on-air/candidates"))
    assert f"quick #{second}" in offered
    assert "no clear difference" in offered
    unlike(trainable, second)
    assert "no verdict: quick" in said(sam.fragment("/lab/on-air/candidates"))


# -- a look beforehand


def test_a_look_at_a_runs_list_for_oneself_and_for_a_test_viewer(sam: Browser, trainable: Flask) -> None:
    with trainable.app_context(), writing() as session:
        session.add_all(
            Movie(id=10 * n, title=f"Film {n}", sort_title=f"film {n}", year=1990, rank=n) for n in range(1, 61)
        )
    first, second = trained(trainable), trained(trainable)
    mine = said(sam.get(f"/lab/runs/{first}/preview"))
    assert "No film yet, so this is what the run shows a newcomer." in mine
    assert len(re.findall(r"Film \d+ 1990", mine)) == preview.K
    sam.submit(f"/lab/runs/{first}/on-air", {"why": "good", "version": "0"})
    other = sam.get(f"/lab/runs/{second}/preview?viewer=1")
    assert other.status_code == 200
    words = said(other)
    assert "Viewer 1" in words
    assert re.search(r"Watched next: Film \d+", words)
    assert words.count(" 1990") == 2 * preview.K  # beside what is on air
    assert "10 of 10 films are on both lists" in words  # both count views
    assert "watched next" in words or "is not among these 10" in words
    assert "1 to 40" in words
    for wrong, status in (("0", 404), ("41", 404), ("x", 422), ("9" * 12, 422)):
        refused = sam.get(f"/lab/runs/{second}/preview?viewer={wrong}")
        assert refused.status_code == status
        assert 'aria-invalid="true"' in refused.text
    assert sam.get("/lab/runs/4711/preview").status_code == 404


def test_the_sites_own_people_are_no_test_viewers(sam: Browser, trainable: Flask, monkeypatch) -> None:
    run_id = trained(trainable)
    with trainable.app_context():
        data = preview._data(runs.get(run_id))
        ids = data.viewer_ids.copy()
        ids[:3] = -np.arange(1, 4)
        object.__setattr__(data, "viewer_ids", ids)
        monkeypatch.setattr(preview, "_data", lambda run: data)
    assert "1 to 37" in said(sam.get(f"/lab/runs/{run_id}/preview?viewer=1"))


def test_what_cannot_be_looked_at_says_why(sam: Browser, trainable: Flask, monkeypatch) -> None:
    run_id = trained(trainable)
    assert preview._at_work.acquire(blocking=False)
    busy = sam.get(f"/lab/runs/{run_id}/preview")
    preview._at_work.release()
    assert busy.status_code == 503
    assert "Another preview is being read" in busy.text
    monkeypatch.setattr(preview, "PATIENCE", 0.0)
    assert sam.get(f"/lab/runs/{run_id}/preview").status_code == 503
    with preview._at_work:  # the one given up ends by itself
        pass
    monkeypatch.setattr(preview, "PATIENCE", 30.0)
    unlike(trainable, run_id)
    assert "has changed since" in said(sam.get(f"/lab/runs/{run_id}/preview?viewer=1"))
    shutil.rmtree(trainable.config["MODELS_DIR"] / "quick" / row_of(trainable, run_id).artifact)
    assert "can't be looked at" in said(sam.get(f"/lab/runs/{run_id}/preview"))
    with trainable.app_context(), writing() as session:
        session.execute(update(Run).values(artifact=None))
        session.execute(update(MetricRow).values(value=None))
    gone = sam.get(f"/lab/runs/{run_id}/preview")
    assert gone.status_code == 422
    assert "has no artefact" in gone.text
    with trainable.app_context():
        db.session.rollback()


def test_the_gate_is_for_scientists(as_viewer: Browser, as_admin: Browser) -> None:
    for url in ("/lab/on-air/candidates", "/lab/runs/1/on-air", "/lab/runs/1/preview"):
        assert as_viewer.get(url).status_code == as_admin.get(url).status_code == 403
