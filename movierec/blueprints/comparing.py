"""The laboratory's tables: the list of runs and what is done to them, runs compared, the data they learnt from."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, jsonify, request, url_for
from flask_login import current_user

from movierec.blueprints.htmx import back, moved, page, wants_fragment
from movierec.services import (
    case,
    data_sheet,
    exporting,
    measuring,
    run_care,
    run_details,
    run_list,
    side_by_side,
    verdicts,
)
from movierec.services.errors import NotFound, Refused, ServiceError, Unavailable
from movierec.services.run_list import Asked

blueprint = Blueprint("comparing", __name__, url_prefix="/lab")

RUN = "<int(max=2147483647):run_id>"
LONGEST = 200  # characters of a word in an address


@blueprint.get("/runs")
def shelf() -> Response:
    """The list of runs; for htmx the table alone."""
    return _shelf()


def _shelf(undo: int | None = None, said: str = "", status: int = 200) -> Response:
    asked = _asked()
    found = run_list.shelf(asked, current_user.id)
    return page(
        "scientist/runs.html",
        "shelf",
        status=status,
        shelf=found,
        asked=found.asked,
        every_column=run_list.COLUMNS.values(),
        protocol=run_list.protocol(found.asked),
        filters=run_list.filters(found),
        chosen=set(request.args.get("chosen", "").split(",")),
        undo=undo,
        said=said,
    )


@blueprint.post("/runs/columns")
def columns() -> Response:
    """Keep the columns this person wants."""
    run_list.choose(current_user.id, request.form.getlist("column"))
    return back("comparing.shelf", **_asked().words())


@blueprint.get(f"/runs/{RUN}/details")
def details(run_id: int) -> Response:
    """What an opened row shows; on its own, the run's page says it."""
    if not wants_fragment():
        return back("scientist.run", run_id=run_id)
    return _details(run_id)


def _details(run_id: int, error: Refused | None = None) -> Response:
    status = error.status if error else 200
    return page(
        "scientist/_run_details.html", status=status, told=run_details.details(run_id), asked=_asked(), error=error
    )


@blueprint.post(f"/runs/{RUN}/words")
def describe(run_id: int) -> Response:
    """Keep a run's note and tags. What can't be kept is said beside its field."""
    try:
        run_care.describe(run_id, request.form.get("note", ""), request.form.get("tags", ""))
    except Refused as error:
        if not wants_fragment():
            raise
        return _details(run_id, error)
    return _shelf(said="Kept.") if wants_fragment() else back("scientist.run", run_id=run_id)


@blueprint.post(f"/runs/{RUN}/archive")
def archive(run_id: int) -> Response:
    """Put a run aside, or back into the list."""
    aside = request.form.get("aside") == "yes"
    run_care.archive(run_id, aside=aside)
    return _done(f"Run #{run_id} is {'in the archive' if aside else 'back in the list'}.")


@blueprint.post(f"/runs/{RUN}/delete")
def delete(run_id: int) -> Response:
    """Delete a run; the answer offers the way back."""
    run_care.remove(run_id)
    return _done(f"Run #{run_id} was deleted. It can be brought back for a day.", undo=run_id)


@blueprint.post(f"/runs/{RUN}/restore")
def restore(run_id: int) -> Response:
    """Bring a deleted run back."""
    run_care.restore(run_id)
    return _done(f"Run #{run_id} is back.")


def _done(said: str, undo: int | None = None) -> Response:
    """The list as it is now, with a sentence; without htmx the page is asked for anew."""
    if wants_fragment():
        answer = _shelf(undo, said)
        answer.headers["HX-Trigger"] = "runs-changed"
        return answer
    flash(said)
    return back("comparing.shelf", **_asked().words(), **({"undo": undo} if undo else {}))


@blueprint.post(f"/runs/{RUN}/measure")
def measure(run_id: int) -> Response:
    """Order numbers under one more protocol of the run's own split."""
    measuring.ask(run_id, request.form.get("protocol", ""), by=current_user.id)
    return _details(run_id) if wants_fragment() else back("scientist.run", run_id=run_id)


@blueprint.get(f"/runs/{RUN}/manifest")
def manifest(run_id: int) -> Response:
    """What a run is, as a file: its row, and its artefact's manifest with the hash of every file."""
    name, told = run_care.manifest(run_id)
    answer = jsonify(told)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@blueprint.get("/compare")
def compare() -> Response:
    """Runs against each other. The address is the whole truth about the page; htmx asks for the verdict alone."""
    if "run" in request.args or "what" in request.args:  # a form's words become the address that can be shared
        return moved(url_for("comparing.compare", **_compared().words()), code=303)
    asked = _compared()
    if not asked.runs:
        return back("comparing.shelf")
    shown = side_by_side.show(asked)
    found = verdicts.of(shown, at_once=wants_fragment() or "now" in request.args)
    if wants_fragment():
        return page("scientist/compare.html", "verdict", **_verdict_context(shown, found))
    return page(
        "scientist/compare.html",
        **_verdict_context(shown, found),
        metrics=side_by_side.metrics(shown),
        metric_choices=side_by_side.axes(shown),
        protocols=run_list.protocol_choices(),
        trade_off=side_by_side.trade_off(shown),
        params=side_by_side.params(shown),
        segments=side_by_side.segments(shown),
        cold_start=side_by_side.cold_start(shown),
        learning=side_by_side.learning(shown),
        by_words=side_by_side.BY_WORDS,
        across_words=side_by_side.ACROSS,
    )


def _verdict_context(shown: side_by_side.Shown, found: verdicts.Told) -> dict[str, Any]:
    return {"shown": shown, "asked": shown.asked, "told": found, "on_air": shown.on_air}


@blueprint.get("/compare/case")
def viewer() -> Response:
    """One test viewer: `viewer` is a number; without one, the viewer for whom the runs differ most."""
    shown, found, error = side_by_side.show(_compared()), None, None
    text = request.args.get("viewer", "").strip()
    try:
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Refused("Give the number of a test viewer, 1 or more.")
        found = case.case(shown, int(text) if text else None)
    except ServiceError as problem:
        error = problem
    status = error.status if error else 200
    return page(
        "scientist/case.html",
        "case",
        status=status,
        shown=shown,
        asked=shown.asked,
        case=found,
        error=error,
        viewer=text,
    )


@blueprint.get("/compare.<kind>")
def export(kind: str) -> Response:
    """Everything that the comparison rests on, with all digits, as CSV or JSON."""
    if kind not in ("csv", "json"):
        raise NotFound("A comparison can be had as csv or json.")
    shown = side_by_side.show(_compared())
    name = "-".join(["compare", *(str(run.id) for run in shown.found)])
    if kind == "csv":
        answer = Response(exporting.as_csv(shown), mimetype="text/csv")
    else:
        answer = jsonify(exporting.as_dict(shown, verdicts.of(shown, at_once=True)))
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    return answer


def _compared() -> side_by_side.Asked:
    """What the address of a comparison asks for. Raises Refused for what is no number of a run."""
    given = request.args
    texts = [text.strip() for text in (*given.get("runs", "").split(","), *given.getlist("run")) if text.strip()]
    if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in texts):
        raise Refused("The runs of a comparison are named by their numbers: runs=41,40,38.", field="runs")
    metric, _, cut = given.get("what", "").partition("@")
    k = cut or given.get("k", "10")
    if not (k.isascii() and k.isdigit() and len(k) < 5):
        raise Refused("k is the length of the list judged: a whole number.", field="k")
    words = {name: given[name][:64] for name in ("protocol", "segment", "x", "by", "across") if given.get(name)}
    return side_by_side.Asked(
        tuple(dict.fromkeys(int(text) for text in texts)), metric or given.get("metric", "ndcg")[:32], int(k), **words
    )


@blueprint.get("/data")
def data() -> Response:
    """What engines learn from. Many views are counted after the page is there: htmx asks for that part alone."""
    sheet, portrait, trouble, waiting = data_sheet.sheet(), None, "", False
    if sheet is not None:
        waiting = not wants_fragment() and not data_sheet.known(sheet.snapshot)
        try:
            portrait = None if waiting else data_sheet.portrait(sheet.snapshot)
        except Unavailable as error:
            trouble = error.message
    block = "portrait" if sheet is not None else None
    return page("scientist/data.html", block, sheet=sheet, portrait=portrait, trouble=trouble, waiting=waiting)


@blueprint.get("/data/rejected.csv")
def rejected() -> Response:
    """The rows that the last import left out, all of them."""
    answer = Response(data_sheet.rejected_rows(), mimetype="text/csv")
    answer.headers["Content-Disposition"] = 'attachment; filename="rejected.csv"'
    return answer


def _asked() -> Asked:
    """What the address asks for. Raises Refused for what can't be chosen."""
    given = request.args
    texts = {name: given.get(name, "").strip()[:LONGEST] for name in ("q", "engine", "state", "tag", "data")}
    others: dict[str, Any] = {name: given[name][:LONGEST] for name in ("protocol", "sort") if given.get(name)}
    number = given.get("page", "1")
    plain = number.isascii() and number.isdigit() and len(number) < 7
    return Asked(**texts, **others, down=given.get("down", "True") != "False", page=int(number) if plain else 1)
