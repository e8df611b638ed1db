"""The list of runs, what is done to runs, and comparisons: with and without htmx, and all that can be wrong."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from flask import Flask
from kit import Browser
from sqlalchemy import delete, event, select, update
from training_kit import row_of, scientist

from movierec.extensions import db, writing
from movierec.services import run_care, training, training_job
from movierec.tables import MetricRow, Run, now


def trained(app: Flask, *, split: str = "loo", **knobs: object) -> int:
    with app.app_context():
        run_id = training.request("quick", {"steps": 2, **knobs}, split=split, enqueue=False)
        training_job.execute(run_id)
    return run_id


def change(app: Flask, run_id: int, **columns: object) -> None:
    with app.app_context(), writing() as session:
        session.execute(update(Run).where(Run.id == run_id).values(**columns))


def set_metric(app: Flask, run_id: int, value: float | None) -> None:
    """Its NDCG@10 of everybody under loo-full."""
    with app.app_context(), writing() as session:
        mine = (MetricRow.run_id == run_id, MetricRow.metric == "ndcg", MetricRow.k == 10, MetricRow.segment == "all")
        session.execute(update(MetricRow).where(*mine, MetricRow.protocol == "loo-full").values(value=value))


def said(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)).replace("&#39;", "'")


def listed(sam: Browser, query: str = "") -> list[int]:
    """The runs in the list, from the top."""
    return [int(number) for number in re.findall(r'name="run" value="(\d+)"', sam.get(f"/lab/runs{query}").text)]


# -- the list


def test_runs_are_found_filtered_and_sorted(sam: Browser, trainable: Flask) -> None:
    first, second, third = trained(trainable), trained(trainable, bold="on"), trained(trainable)
    change(trainable, first, note="The long one", tags=["keeper"])
    change(trainable, third, state="failed", reason="out of memory", dataset_sha256="abc123" + "0" * 58)
    for run_id, value in ((first, 0.5), (second, 0.7), (third, None)):
        set_metric(trainable, run_id, value)
    assert listed(sam) == [third, second, first]
    assert listed(sam, "?down=False") == [first, second, third]
    assert listed(sam, "?sort=ndcg10") == [second, first, third]
    assert listed(sam, "?sort=ndcg10&down=False") == [first, second, third]  # what was not measured is last either way
    assert listed(sam, "?sort=when&down=False") == [first, second, third]
    assert listed(sam, "?q=LONG+one") == [first]
    assert listed(sam, "?q=memory") == [third]
    assert listed(sam, "?tag=keeper") == [first]
    assert listed(sam, "?state=failed") == [third]
    assert listed(sam, "?state=done&engine=quick") == [second, first]
    assert listed(sam, "?data=abc123") == [third]
    assert listed(sam, "?engine=slow") == []
    assert "No run fits" in sam.get("/lab/runs?engine=slow").text
    for wrong in ("?sort=colour", "?state=odd", "?protocol=mine"):
        assert sam.get(f"/lab/runs{wrong}").status_code == 422
    part = sam.fragment("/lab/runs?q=long")
    assert part.text.strip().startswith('<div id="shelf">')
    assert "1 of 3 runs" in said(part)
    assert listed(sam, "?page=999999") == [third, second, first]  # the last page there is


def test_numbers_are_of_the_protocol_that_was_chosen(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    with trainable.app_context():
        rows = db.session.execute(
            select(MetricRow.protocol, MetricRow.value).where(
                MetricRow.run_id == run_id, MetricRow.metric == "ndcg", MetricRow.k == 10, MetricRow.segment == "all",
                MetricRow.split == "test",
            )
        ).all()  # fmt: skip
    for protocol, value in rows:
        assert f"{value:.3f}".removeprefix("0") in said(sam.get(f"/lab/runs?protocol={protocol}"))
    assert "not measured" in said(sam.get("/lab/runs?protocol=time-full"))


def test_each_person_has_columns_of_their_own(sam: Browser, trainable: Flask) -> None:
    trained(trainable)
    other = scientist(trainable, "olga")
    assert "Novelty" not in sam.get("/lab/runs").text.split("<table")[1]
    assert sam.submit("/lab/runs/columns?q=x", {"column": ["novelty", "state"]}).location == "/lab/runs?q=x"
    table = sam.get("/lab/runs").text.split("<table")[1]
    assert "Novelty" in table
    assert "CPU time" not in table
    assert "Novelty" not in other.get("/lab/runs").text.split("<table")[1]
    assert sam.submit("/lab/runs/columns", {"column": "colour"}).status_code == 422
    assert sam.submit("/lab/runs/columns", {}).status_code == 422


def test_an_opened_row_tells_all_and_offers_what_can_be_done(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    assert sam.get(f"/lab/runs/{run_id}/details").location == f"/lab/runs/{run_id}"
    part = sam.fragment(f"/lab/runs/{run_id}/details")
    words = said(part)
    assert "loo-full loo-sampled100" in words
    assert "NDCG@10 by segment" in words
    assert "Steps 2" in words
    assert "numpy" in words
    assert f"/lab/form/quick?from={run_id}&amp;split=time" in part.text  # another split is another training
    assert f"/lab/runs/{run_id}/manifest" in part.text
    assert sam.fragment("/lab/runs/4711/details").status_code == 404


def test_an_opened_row_of_a_run_without_files(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    shutil.rmtree(trainable.config["MODELS_DIR"] / "quick" / row_of(trainable, run_id).artifact)
    assert sam.fragment(f"/lab/runs/{run_id}/details").status_code == 200
    broken = sam.get(f"/lab/runs/{run_id}/manifest")
    assert broken.status_code == 422
    change(trainable, run_id, artifact=None, state="failed", reason="it broke")
    words = said(sam.fragment(f"/lab/runs/{run_id}/details"))
    assert "it broke" in words
    assert "Evaluate under" not in words
    assert "has no files: it is failed" in said(sam.get(f"/lab/runs/{run_id}/manifest"))


def test_the_manifest_names_every_file_with_its_hash(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    answer = sam.get(f"/lab/runs/{run_id}/manifest")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="quick-{run_id}.json"'
    assert answer.json["run"]["params"]["steps"] == 2
    assert set(answer.json["manifest"]["files"]) >= {"state.npz", "index.npz", "loo-full.npz"}


# -- what is done to runs


def test_a_run_is_measured_under_another_protocol_of_its_split(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    with trainable.app_context(), writing() as session:
        session.execute(delete(MetricRow).where(MetricRow.protocol == "loo-sampled100"))
    assert "Evaluate under loo-sampled100" in said(sam.fragment(f"/lab/runs/{run_id}/details"))
    asked = sam.submit(f"/lab/runs/{run_id}/measure", {"protocol": "loo-sampled100"}, htmx=True)
    assert "waits for the worker" in said(asked)
    assert sam.submit(f"/lab/runs/{run_id}/measure", {"protocol": "loo-sampled100"}).status_code == 409
    assert sam.submit(f"/lab/runs/{run_id}/measure", {"protocol": "time-full"}).status_code == 422


def test_a_note_and_tags_are_kept(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    sent = {"note": "  try  two ", "tags": "Keeper, keeper,, second look"}
    assert sam.submit(f"/lab/runs/{run_id}/words", sent).status_code == 303
    assert (row_of(trainable, run_id).note, row_of(trainable, run_id).tags) == ("try two", ["keeper", "second look"])
    for field, value in (("note", "n" * 301), ("tags", "t" * 25), ("tags", ",".join("abcdefghi"))):
        wrong = sam.submit(f"/lab/runs/{run_id}/words", sent | {field: value}, htmx=True)
        assert wrong.status_code == 422
        assert f'id="{field}-{run_id}-bad"' in wrong.text
        assert value in wrong.text
    assert sam.submit(f"/lab/runs/{run_id}/words", {"note": "n" * 301}).status_code == 422
    assert "second look" in sam.submit(f"/lab/runs/{run_id}/words", sent, htmx=True).text


def test_an_archived_run_leaves_the_list_and_comes_back(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    answer = sam.submit(f"/lab/runs/{run_id}/archive", {"aside": "yes"}, htmx=True)
    assert answer.headers["HX-Trigger"] == "runs-changed"
    assert listed(sam) == []
    assert listed(sam, "?state=archived") == [run_id]
    assert (
        sam.submit(f"/lab/runs/{run_id}/archive?state=archived", {"aside": "no"}).location == "/lab/runs?state=archived"
    )
    assert listed(sam) == [run_id]


def test_a_run_is_deleted_and_brought_back(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    answer = sam.submit(f"/lab/runs/{run_id}/delete", htmx=True)
    assert f"/lab/runs/{run_id}/restore" in answer.text
    assert listed(sam) == []
    for url in (f"/lab/runs/{run_id}", f"/lab/runs/{run_id}/manifest"):
        assert sam.get(url).status_code == 404
    assert sam.submit(f"/lab/runs/{run_id}/delete").status_code == 404
    assert sam.submit(f"/lab/runs/{run_id}/on-air", {"why": "x", "version": "0"}).status_code == 404
    assert sam.submit(f"/lab/runs/{run_id}/restore").status_code == 303
    assert listed(sam) == [run_id]
    assert sam.submit("/lab/runs/4711/restore").status_code == 404


def test_what_is_on_air_or_trains_is_not_deleted(sam: Browser, trainable: Flask) -> None:
    run_id = trained(trainable)
    sam.submit(f"/lab/runs/{run_id}/on-air", {"why": "good", "version": "0"})
    refused = sam.submit(f"/lab/runs/{run_id}/delete")
    assert refused.status_code == 409
    assert "is on air. Put another run on air first" in said(refused)
    change(trainable, (other := trained(trainable)), state="running", heartbeat_at=now())
    assert "Stop it first" in said(sam.submit(f"/lab/runs/{other}/delete"))


def test_a_deleted_run_is_forgotten_after_a_day(sam: Browser, trainable: Flask) -> None:
    run_id, kept = trained(trainable), trained(trainable)
    sam.submit(f"/lab/runs/{run_id}/delete")
    with trainable.app_context():
        assert run_care.purge() == 0
    change(trainable, run_id, removed_at=now() - timedelta(days=1, seconds=1))
    with trainable.app_context():
        assert run_care.purge() == 1
        assert set(db.session.execute(select(MetricRow.run_id)).scalars()) == {kept}


# -- comparisons


def compared(sam: Browser, *run_ids: int, query: str = "") -> str:
    """The words of the whole page, verdict and all."""
    return said(sam.get(f"/lab/compare?runs={','.join(map(str, run_ids))}&now=1{query}"))


def test_the_list_leads_to_an_address_that_can_be_shared(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    answer = sam.get(f"/lab/compare?run={first}&run={second}&protocol=loo-sampled100")
    assert (answer.status_code, answer.location) == (
        303,
        f"/lab/compare?runs={first},{second}&metric=ndcg&k=10&protocol=loo-sampled100",
    )
    chosen = sam.get(f"/lab/compare?runs={first},{second}&what=hr@5").location
    assert "metric=hr&k=5" in chosen
    assert sam.get("/lab/compare").location == "/lab/runs"


def test_the_verdict_comes_on_its_own_the_first_time(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    url = f"/lab/compare?runs={first},{second}"
    page = sam.get(url)
    assert "Working out the verdict" in page.text
    assert 'hx-trigger="load"' in page.text
    part = sam.fragment(url)
    assert part.text.strip().startswith('<div id="verdict"')
    assert f"Between quick #{first} and quick #{second} there is no clear difference." in said(part)
    assert "Working out" not in sam.get(url).text  # known by now


def test_a_page_of_a_comparison_shows_figures_with_their_tables(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable, rate="0.5")
    page = sam.get(f"/lab/compare?runs={first},{second}&now=1").text
    assert re.findall(r'data-chart="(\w+)"', page) == [
        "dots",
        "dots",
        "scatter",
        "groups",
    ]  # short histories: no cold start
    assert page.count("data-table") == page.count("data-chart")
    assert page.count("data-hollow") > 0  # the second run of one engine
    rows = re.findall(r'<tr class="diff"><th scope="row">(.*?)<', page)
    assert rows == ["Rate"]
    for query in ("&x=latency_p95_ms", "&by=genre", "&by=decade", "&across=seconds", "&segment=viewers:hot"):
        assert sam.get(f"/lab/compare?runs={first},{second}{query}").status_code == 200
    for query in ("&x=colour", "&by=colour", "&across=moons", "&k=ten", "&protocol=mine"):
        assert sam.get(f"/lab/compare?runs={first},{second}{query}").status_code == 422
    assert "was not measured" in compared(sam, first, second, query="&metric=colour")


def test_learning_curves_go_over_steps_or_seconds(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    with trainable.app_context(), writing() as session:
        point = {"metric": "ndcg", "k": 10, "protocol": "training", "split": "validation", "segment": "all"}
        session.execute(delete(MetricRow).where(MetricRow.protocol == "training"))
        session.add_all(MetricRow(run_id=first, step=step, value=step / 10, **point) for step in (1, 2, 4))
        session.execute(update(Run).values(fit_seconds=8.0))
    page = sam.get(f"/lab/compare?runs={first},{second}").text.partition("How they learnt")[2]
    assert re.findall(r'data-x="([\d.]+)"', page) == ["1.0", "2.0", "4.0"]
    page = sam.get(f"/lab/compare?runs={first},{second}&across=seconds").text.partition("How they learnt")[2]
    assert re.findall(r'data-x="([\d.]+)"', page) == ["2.0", "4.0", "8.0"]


def test_what_cannot_be_compared_says_why(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    assert f"quick #{first} alone can’t be compared. Add a run." in compared(sam, first)
    assert "Nothing can’t be compared" in compared(sam, 4711)
    sam.submit(f"/lab/runs/{second}/delete")
    words = compared(sam, first, second)
    assert f"quick #{second} was deleted. It is left out" in words
    assert "alone can’t be compared" in words
    assert "Run #4711 is not there (any more)." in compared(sam, first, 4711)
    sam.submit(f"/lab/runs/{second}/restore")
    sam.submit(f"/lab/runs/{second}/archive", {"aside": "yes"})
    words = compared(sam, first, second)
    assert "archived" in words
    assert "no clear difference" in words
    change(trainable, second, dataset_sha256="0" * 64)
    assert "learnt from different data" in compared(sam, first, second)
    change(trainable, second, artifact=None, state="failed")
    assert f"quick #{second} has nothing to compare: it is failed." in compared(sam, first, second)
    other = trained(trainable, split="time")
    assert "was trained under the split" in compared(sam, first, other)
    for wrong in ("runs=1,x", "runs=1,-2", "runs=" + "9" * 12, "runs=1,2,3,4,5,6,7,8,9"):
        assert sam.get(f"/lab/compare?{wrong}").status_code == 422


def test_numbers_that_are_not_there_are_not_measured(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    with trainable.app_context(), writing() as session:
        session.execute(update(MetricRow).where(MetricRow.run_id == second).values(value=None, low=None, high=None))
    assert "not measured" in compared(sam, first, second)


def test_a_comparison_is_taken_along_as_a_file(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    table = sam.get(f"/lab/compare.csv?runs={first},{second}")
    assert table.headers["Content-Disposition"] == f'attachment; filename="compare-{first}-{second}.csv"'
    lines = table.text.splitlines()
    assert lines[0] == "run,engine,protocol,segment,split,metric,k,value,low,high,n"
    assert any(line.startswith(f"{second},quick,loo-full,all,test,ndcg,10,0.") for line in lines)
    told = json.loads(sam.get(f"/lab/compare.json?runs={first},{second}").text)
    assert told["corrected_over_pairs"] == len(told["pairs"]) == 1
    assert {told["pairs"][0]["first"], told["pairs"][0]["second"]} == {first, second}
    assert sam.get(f"/lab/compare.xlsx?runs={first}").status_code == 404


def test_these_pages_are_for_scientists(as_viewer: Browser, as_admin: Browser) -> None:
    for url in (
        "/lab/runs",
        "/lab/runs/1/details",
        "/lab/runs/1/manifest",
        "/lab/compare?runs=1,2",
        "/lab/compare.csv",
    ):
        assert as_viewer.get(url).status_code == as_admin.get(url).status_code == 403
    for act in ("words", "archive", "delete", "restore", "measure"):
        assert as_viewer.submit(f"/lab/runs/1/{act}").status_code == 403


# -- how fast


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    """The statements that the database is asked."""
    heard: list[str] = []

    def hear(_connection, _cursor, statement, *_rest) -> None:
        heard.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", hear)
    yield heard
    event.remove(engine, "before_cursor_execute", hear)


def test_two_hundred_runs_with_fifty_numbers_each_take_few_queries(sam: Browser, trainable: Flask) -> None:
    model = trained(trainable)
    with trainable.app_context():
        run = db.session.get_one(Run, model)
        facts = {c.name: getattr(run, c.name) for c in Run.__table__.columns if c.name not in ("id", "note")}
        rows = db.session.execute(select(MetricRow).where(MetricRow.run_id == model).limit(50)).scalars().all()
        numbers = [{c.name: getattr(r, c.name) for c in MetricRow.__table__.columns if c.name != "id"} for r in rows]
        db.session.rollback()
        with writing() as session:
            for number in range(model + 1, model + 200):
                session.add(Run(id=number, note=f"run {number}", **facts))
                session.flush()
                session.add_all(MetricRow(**row | {"run_id": number}) for row in numbers)
    eight = ",".join(str(model + step) for step in range(8))
    for url, most in (("/lab/runs", 9), ("/lab/runs?sort=ndcg10", 9), (f"/lab/compare?runs={eight}", 9)):
        sam.get(url)  # templates are compiled, verdicts known
        with counted(trainable) as heard:
            times = [spent(sam, url) for _ in range(3)]
        assert len(heard) <= 3 * most, heard
        assert sorted(times)[1] < 0.2, f"{url} took {times}"


def spent(sam: Browser, url: str) -> float:
    """Seconds of CPU for one page."""
    begun = time.process_time()
    assert sam.get(url).status_code == 200
    return time.process_time() - begun
