"""The laboratory's pages: with and without htmx, in every state of a run, with and without a queue."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta

import pytest
from flask import Flask
from kit import Browser, dump
from sqlalchemy import select, update
from training_kit import row_of, trained

from movierec.extensions import db, queue, writing
from movierec.services import laboratory, training, training_job
from movierec.tables import MetricRow, Run, now


def waiting(app: Flask, engine: str = "quick", **columns: object) -> int:
    with app.app_context():
        run_id = training.request(engine, {})
        if columns:
            with writing() as session:
                session.execute(update(Run).where(Run.id == run_id).values(**columns))
    return run_id


def said(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


# -- the first page and the form


def test_the_lab_says_what_there_is_before_anything_was_done(sam: Browser) -> None:
    page = sam.get("/lab")
    assert page.status_code == 200
    words = said(page)
    assert "Nothing is on air" in words
    assert "Nothing is being trained" in words
    assert "none alive. Start one: flask worker" in words
    assert "320 views of 40 viewers" in words
    assert "No run has ended yet" in words


def test_without_redis_the_page_says_so_and_stays(sam: Browser, valkey) -> None:
    valkey.kill()
    page = sam.get("/lab")
    assert page.status_code == 200
    assert "unavailable: Redis does not answer" in said(page)


def test_without_data_the_form_says_what_to_do(as_scientist: Browser) -> None:
    assert "flask data import" in said(as_scientist.get("/lab"))
    refused = as_scientist.submit("/lab/runs", {"engine": "popularity"})
    assert refused.status_code == 422
    assert "no data to learn from" in refused.text


def test_the_form_is_drawn_from_the_engines_params(sam: Browser) -> None:
    form = sam.get("/lab/form/quick").text
    assert re.search(r'name="steps" value="4"[^>]* inputmode="numeric"', form)
    assert re.search(r'name="rate" value="0.1"[^>]* inputmode="decimal"', form)
    assert re.search(r'<select[^>]* name="bold".*<option value="off" selected>off</option>', form, re.S)
    assert re.search(r'<select[^>]* name="taste".*<option selected>plain</option><option>odd</option>', form, re.S)
    assert "How often it reports. 1 or more." in form
    part = sam.fragment("/lab/form/quick")
    assert part.text.strip().startswith('<section class="sec border-t-0" id="train"')
    assert "no_such_library" in sam.get("/lab/form/absent").text
    assert sam.get("/lab/form/nothing").status_code == 404


def test_the_form_begins_with_a_runs_settings(sam: Browser, trainable: Flask) -> None:
    with trainable.app_context():
        given = {"steps": "7", "bold": "on", "taste": "odd"}
        run_id = training.request("quick", given, split="time", enqueue=False)
    assert "how long is not known yet" in sam.get("/lab/form/slow").text
    with trainable.app_context():
        training_job.execute(run_id)
    form = sam.get(f"/lab/form/quick?from={run_id}").text
    assert re.search(r'name="steps" value="7"', form)
    assert re.search(r'<option value="on" selected>on</option>', form)
    assert "<option selected>odd</option>" in form
    assert re.search(r'<option value="time" selected>', form)
    assert f'href="/lab/form/quick?from={run_id}#train"' in sam.get(f"/lab/runs/{run_id}").text
    plain = sam.get("/lab/form/quick").text
    assert f"Latest #{run_id}" in plain  # a preset; it has no number under the usual split, so it is not the best
    assert "Best on validation" not in plain
    assert "from 1 earlier run" in said(sam.get("/lab/form/quick"))
    assert sam.get(f"/lab/form/slow?from={run_id}").status_code == 404
    assert sam.get("/lab/form/quick?from=4711").status_code == 404
    assert sam.get("/lab/form/quick?from=x").status_code == 200


def test_the_best_of_the_presets_is_chosen_on_validation(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    with trainable.app_context(), writing() as session:
        of_validation = (MetricRow.split == "validation", MetricRow.metric == "ndcg", MetricRow.run_id == first)
        session.execute(update(MetricRow).where(*of_validation).values(value=0.9))
    form = said(sam.get("/lab/form/quick"))
    assert f"Best on validation #{first}" in form
    assert f"Latest #{second}" in form


def test_another_split_is_ordered_and_an_unknown_one_refused(sam: Browser, trainable: Flask) -> None:
    sam.submit("/lab/runs", {"engine": "quick", "split": "ratio"})
    assert row_of(trainable, 1).split == "ratio"
    refused = sam.submit("/lab/runs", {"engine": "slow", "split": "odd"})
    assert refused.status_code == 422
    assert re.search(r'id="f-split-bad">.*There is no split', refused.text, re.S)


def test_ordering_a_training_leads_to_its_page(sam: Browser, trainable: Flask) -> None:
    answer = sam.submit("/lab/runs", {"engine": "quick", "steps": "7", "rate": "", "bold": "on", "note": "try"})
    assert (answer.status_code, answer.location) == (303, "/lab/runs/1")
    run = row_of(trainable, 1)
    assert (run.params["steps"], run.params["bold"], run.note, run.created_by) == (7, True, "try", sam.user_id)
    other = sam.submit("/lab/runs", {"engine": "slow"}, htmx=True)
    assert (other.status_code, other.headers["HX-Redirect"]) == (200, "/lab/runs/2")
    assert "is being trained as #1" in said(sam.get("/lab/form/quick"))


@pytest.mark.parametrize("htmx", [True, False])
def test_what_cannot_be_used_is_said_beside_its_field(sam: Browser, trainable: Flask, htmx: bool) -> None:
    sent = {"engine": "quick", "steps": "0", "rate": "0.3", "taste": "sweet", "admin": "1", "note": "my note"}
    answer = sam.submit("/lab/runs", sent, htmx=htmx)
    assert answer.status_code == 422
    assert ("<html" in answer.text) is not htmx
    assert re.search(
        r'name="steps" value="0"[^>]* autofocus aria-invalid="true" aria-describedby="k-steps-help k-steps-bad"',
        answer.text,
    )
    assert re.search(r'id="k-steps-bad">.*Must be a whole number, 1 or more', answer.text, re.S)
    assert 'name="rate" value="0.3"' in answer.text  # what was right stays as it was typed
    assert 'value="my note"' in answer.text
    assert "Must be one of plain, odd." in answer.text
    assert "admin: There is no such setting" in said(answer)
    with trainable.app_context():
        assert db.session.execute(select(Run)).first() is None
    long = sam.submit("/lab/runs", {"engine": "quick", "note": "n" * 301}, htmx=htmx)
    assert long.status_code == 422
    assert re.search(r'id="f-note-bad">.*at most 300 characters', long.text, re.S)


def test_other_refusals_of_an_order(sam: Browser, valkey) -> None:
    sam.submit("/lab/runs", {"engine": "quick"})
    second = sam.submit("/lab/runs", {"engine": "quick"})
    assert second.status_code == 409
    assert 'href="/lab/runs/1">See it' in second.text
    assert sam.submit("/lab/runs", {"engine": "absent"}).status_code == 422
    assert sam.submit("/lab/runs", {"engine": "nothing"}).status_code == 422
    assert sam.submit("/lab/runs", {}).status_code == 422
    valkey.kill()
    away = sam.submit("/lab/runs", {"engine": "slow"})
    assert away.status_code == 503
    assert "Nothing was started" in away.text


# -- runs


def test_a_run_that_moves_asks_for_itself_and_one_that_ended_does_not(sam: Browser, trainable: Flask) -> None:
    run_id = waiting(trainable, state="running", attempt_id="a", heartbeat_at=now(), phase="training", step=3, total=9)
    page = sam.get(f"/lab/runs/{run_id}")
    assert 'hx-trigger="every 1s"' in page.text
    assert "Training, step 3 of at most 9" in said(page)
    assert 'value="3" max="9"' in page.text
    part = sam.fragment(f"/lab/runs/{run_id}")
    assert part.text.strip().startswith('<div id="live"')
    assert "HX-Refresh" not in part.headers
    assert 'hx-trigger="every 1s"' in sam.fragment("/lab/progress").text
    assert sam.get("/lab/progress").location == "/lab"
    with trainable.app_context(), writing() as session:
        session.execute(update(Run).values(state="failed", reason="killed (signal 9)"))
    assert sam.fragment(f"/lab/runs/{run_id}").headers["HX-Refresh"] == "true"
    ended = sam.get(f"/lab/runs/{run_id}")
    assert "every 1s" not in ended.text
    assert "killed (signal 9)" in ended.text
    assert "every 1s" not in sam.fragment("/lab/progress").text


def test_who_waits_is_told_its_place_and_who_trains_what_it_needs(sam: Browser, trainable: Flask) -> None:
    for _ in range(2):
        trained(trainable)
    with trainable.app_context(), writing() as session:  # 40 s each, so that a slow test does not use them up
        session.execute(
            update(Run).values(started_at=now() - timedelta(seconds=90), ended_at=now() - timedelta(seconds=50))
        )
    vital = {"cpu_share": 0.71, "memory": 412_000_000, "phase": "training", "step": 3, "total": 9}
    waiting(trainable, state="running", attempt_id="a", heartbeat_at=now(), started_at=now(), **vital)
    second = waiting(trainable, "slow")
    running = said(sam.get("/lab"))
    assert "71 % CPU, 412 MB" in running
    assert "left, by 2 earlier runs" in running
    page = said(sam.get(f"/lab/runs/{second}"))
    assert re.search(r"Waits behind 1 other; starts in about \d+ s\.", page)
    assert "either takes it out of the queue" in page
    assert "Waits behind 2 others" in said(sam.get("/lab/form/popularity"))


@pytest.mark.parametrize("url", ["/lab", "/lab/progress", "/lab/runs/1", "/lab/runs"])
def test_looking_tells_a_silent_run_and_changes_nothing(sam: Browser, trainable: Flask, url: str) -> None:
    waiting(trainable, state="running", attempt_id="a", heartbeat_at=now().replace(year=2020))
    before = dump(trainable)
    assert "no sign of life" in said(sam.get(url) if url != "/lab/progress" else sam.fragment(url))
    assert dump(trainable) == before


def test_a_finished_run_shows_its_numbers_with_interval_and_protocol(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    page = sam.get(f"/lab/runs/{run_id}")
    with trainable.app_context():
        query = select(MetricRow).where(MetricRow.protocol == "loo-full", MetricRow.metric == "ndcg", MetricRow.k == 10)
        row = db.session.execute(query.where(MetricRow.segment == "all")).scalar_one()
    three = [f"{value:.3f}".removeprefix("0") for value in (row.value, row.low, row.high)]
    assert f"NDCG@10 {three[0]} [{three[1]}, {three[2]}]" in said(page)
    assert "proto-easy" in page.text
    assert "Steps 2" in said(page)
    assert page.text.count("data-curve=") == 2
    assert 'data-v="0.25"' in page.text  # the table is the data
    listed = sam.get("/lab/runs")
    assert f"#{run_id}" in listed.text
    assert three[0] in listed.text


def test_a_number_that_was_not_measured_is_never_zero(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    with trainable.app_context(), writing() as session:
        session.execute(update(MetricRow).values(value=None, low=None, high=None))
    page = said(sam.get(f"/lab/runs/{run_id}"))
    assert "NDCG@10 not measured" in page


def test_an_engine_that_was_taken_away_leaves_its_runs_readable(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    with trainable.app_context(), writing() as session:
        session.execute(update(Run).values(engine="gone"))
    page = sam.get(f"/lab/runs/{run_id}")
    assert page.status_code == 200
    assert "steps 2" in said(page)


def test_no_run_yet(sam: Browser) -> None:
    assert "No run yet" in sam.get("/lab/runs").text


@pytest.mark.parametrize("number", ["4711", "99999999999", "-1", "x", "..%2f..%2fetc%2fpasswd", "%00", "1?x=../"])
def test_only_a_runs_number_leads_anywhere(sam: Browser, number: str) -> None:
    assert sam.get(f"/lab/runs/{number}").status_code == 404


# -- stopping


def test_stopping_from_the_page(sam: Browser, trainable: Flask) -> None:
    queued = waiting(trainable)
    assert sam.submit(f"/lab/runs/{queued}/cancel", {"best": "maybe"}).status_code == 422
    answer = sam.submit(f"/lab/runs/{queued}/cancel", {"best": "discard"})
    assert answer.status_code == 303
    assert "Cancelled by sam before it began" in row_of(trainable, queued).reason
    with trainable.app_context():
        assert queue().job_ids == []
    running = waiting(trainable, state="running", phase="evaluating", attempt_id="a", heartbeat_at=now())
    sam.submit(f"/lab/runs/{running}/cancel", {"best": "keep"})
    assert row_of(trainable, running).cancel == "keep"
    page = said(sam.get(f"/lab/runs/{running}"))
    assert "Stopping; the best state so far is being kept." in page
    again = sam.submit(f"/lab/runs/{queued}/cancel", {"best": "discard"})
    assert again.status_code == 409
    assert "has ended already" in again.text


# -- on air


def test_what_is_on_air_and_cannot_be_loaded_is_told_with_what_fills_in(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    for version, run_id in enumerate((first, second)):
        sam.submit(f"/lab/runs/{run_id}/on-air", {"why": "good", "version": str(version)})
    assert "can't be loaded" not in sam.get("/lab").text
    for run_id, instead in ((second, f"quick #{first}"), (first, "the popular films")):
        shutil.rmtree(trainable.config["MODELS_DIR"] / "quick" / row_of(trainable, run_id).artifact)
        trainable.extensions.pop("movierec_station")  # a process that begins anew
        for url in ("/lab", "/lab/on-air"):
            words = said(sam.get(url)).replace("&#39;", "'")
            assert f"Its files can't be loaded, so viewers get {instead} instead." in words
            assert "the folder is missing" in words


def test_a_form_that_is_sent_back_is_gathered_once(sam: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    gathered: list[str] = []
    bench = laboratory.bench
    monkeypatch.setattr(laboratory, "bench", lambda engine="", like=None: gathered.append(engine) or bench(engine))
    assert sam.submit("/lab/runs", {"engine": "absent"}).status_code == 422
    assert gathered == ["absent"]
    assert sam.submit("/lab/runs", {"engine": "nothing"}).status_code == 422
    assert gathered == ["absent"]


def test_the_lab_is_for_scientists(as_viewer: Browser, as_admin: Browser) -> None:
    for url in ("/lab", "/lab/runs", "/lab/runs/1", "/lab/on-air", "/lab/form/popularity", "/lab/progress"):
        assert as_viewer.get(url).status_code == as_admin.get(url).status_code == 403
    for url in ("/lab/runs", "/lab/runs/1/cancel", "/lab/runs/1/on-air", "/lab/roll-back"):
        assert as_viewer.submit(url).status_code == as_admin.submit(url).status_code == 403
