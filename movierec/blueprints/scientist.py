"""The laboratory: train, watch, stop, measure, put on air, roll back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, request, url_for
from flask_login import current_user

from movierec.blueprints.htmx import back, page, wants_fragment
from movierec.services import dashboard, gate, laboratory, preview, production, runs, series, serving, training
from movierec.services.errors import Conflict, Refused, ServiceError
from movierec.services.knobs import BadParams
from movierec.services.training import AlreadyTraining

blueprint = Blueprint("scientist", __name__, url_prefix="/lab")

RUN = "<int(max=2147483647):run_id>"
NOT_KNOBS = ("csrf_token", "engine", "note", "split", "several")


@blueprint.app_template_filter()
def metric_label(row: Any) -> str:
    """The name of a metric row, for people."""
    return runs.label(row)


@blueprint.app_template_test("silent")
def is_silent(run: Any) -> bool:
    """Whether a run that is said to train gives no sign of life."""
    return runs.silent(run)


@blueprint.get("")
def lab() -> Response:
    """What is on air, what is being done, and the form."""
    bench = laboratory.bench()
    return page("scientist/lab.html", bench=bench, board=dashboard.board(bench.queue))


def _lab(status: int = 200, **context: Any) -> Response:
    """The whole page, or the form alone where htmx asks."""
    if not wants_fragment():
        context["board"] = dashboard.board(context["bench"].queue)
    return page("scientist/lab.html", "form", status=status, **context)


@blueprint.get("/progress")
def progress() -> Response:
    """What is being done, for the page that asks each second."""
    if not wants_fragment():
        return back("scientist.lab")
    return page("scientist/lab.html", "progress", now=laboratory.progress())


@blueprint.get("/form/<engine>")
def form(engine: str) -> Response:
    """The form of one engine; `from` names a run whose settings it begins with."""
    text = request.args.get("from", "")
    like = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    return _lab(bench=laboratory.bench(engine, like))


@blueprint.post("/runs")
def train() -> Response:
    """Order a training, or several at once. What can't be used is said beside its field; what was typed stays."""
    engine = request.form.get("engine", "")[:64]
    given = {name: value for name, value in request.form.items() if name not in NOT_KNOBS}
    told: dict[str, Any] = {
        "split": request.form.get("split") or "loo",
        "by": current_user.id,
        "note": request.form.get("note", ""),
    }
    try:
        if request.form.get("several"):
            return _to("series.sheet", number=series.request(engine, given, **told))
        run_id = training.request(engine, given, **told)
    except AlreadyTraining as error:
        error.link = url_for("scientist.run", run_id=error.run_id)
        return _form_again(engine, error, {})
    except BadParams as error:
        return _form_again(engine, error, error.fields)
    except Refused as error:
        beside = error.field in ("note", "split", "several")
        return _form_again(engine, error, {str(error.field): error.message} if beside else {})
    except ServiceError as error:
        return _form_again(engine, error, {})
    return _to_run(run_id)


def _form_again(engine: str, error: ServiceError, fields: dict[str, str]) -> Response:
    """The form as it was sent, with what is wrong with it. An unknown engine is a plain error page."""
    if error.field == "engine" and not laboratory.knows(engine):
        raise error
    return _lab(
        status=error.status,
        bench=laboratory.bench(engine),
        error=error,
        fields=fields,
        given=request.form,
    )


@blueprint.get(f"/runs/{RUN}")
def run(run_id: int) -> Response:
    """One run. The part that moves asks for itself each second, and for the whole page once the run has ended."""
    sheet = laboratory.sheet(run_id)
    answer = page("scientist/run.html", "live", sheet=sheet)
    if wants_fragment() and not sheet.active:
        answer.headers["HX-Refresh"] = "true"
    return answer


@blueprint.post(f"/runs/{RUN}/cancel")
def cancel(run_id: int) -> Response:
    """Stop a training, with its best state kept or not."""
    wish = request.form.get("best", "discard")
    if wish not in ("keep", "discard"):
        raise Refused("Say whether to keep the best state: keep or discard.", field="best")
    try:
        state = training.cancel(run_id, keep=wish == "keep", who=current_user.name)
        flash(
            "Stopped; nothing was kept." if state == "cancelled" else "Stopping; the best state so far is being kept."
        )
    except Conflict as error:
        return _sheet_again(run_id, error)
    return _to_run(run_id)


@blueprint.get(f"/runs/{RUN}/on-air")
def ask_on_air(run_id: int) -> Response:
    """The gate: what is known about putting this run on air, before anything is changed."""
    return page("scientist/gate.html", "dialog", evidence=gate.evidence(run_id), given={})


@blueprint.post(f"/runs/{RUN}/on-air")
def put_on_air(run_id: int) -> Response:
    """Put a run on air: not before the evidence against it was confirmed, nor where somebody else was faster."""
    try:
        gate.put_on_air(
            run_id,
            user_id=current_user.id,
            who=current_user.name,
            why=request.form.get("why", ""),
            expected_version=_version(),
            knowing=request.form.get("knowing") == "yes",
        )
    except (Refused, Conflict) as error:
        return _gate_again(run_id, error)
    flash(f"Run #{run_id} is on air. Viewers get it from their next list on.")
    return _to("scientist.on_air")


def _gate_again(run_id: int, error: ServiceError) -> Response:
    """The gate once more, against what is on air by now, with the reason as it was typed."""
    try:
        evidence = gate.evidence(run_id)
    except Refused:  # it has lost its artefact
        return _sheet_again(run_id, error)
    if evidence.run.id == laboratory.on_air().serving.run_id:
        return _history(error)
    return page("scientist/gate.html", status=error.status, evidence=evidence, error=error, given=request.form)


@blueprint.post("/roll-back")
def roll_back() -> Response:
    """Put back what was on air before."""
    try:
        row = gate.roll_back(
            user_id=current_user.id,
            who=current_user.name,
            why=request.form.get("why", "") or "Rolled back with one click; no reason was given.",
            expected_version=_version(),
        )
    except (Refused, Conflict) as error:
        return _history(error)
    flash(f"Run #{row.run_id} is on air again.")
    return _to("scientist.on_air")


@blueprint.get("/on-air")
def on_air() -> Response:
    """What is on air and every change of it."""
    return _history(None)


@blueprint.get("/on-air/candidates")
def candidates() -> Response:
    """What could go on air instead, with verdicts: on its own for the page that asks for it once it is shown."""
    if wants_fragment():
        return page("scientist/on_air.html", "candidates", candidates=gate.candidates(), on_air=laboratory.on_air())
    return _history(None, candidates=gate.candidates())


@blueprint.get(f"/runs/{RUN}/preview")
def look(run_id: int) -> Response:
    """The run's list for oneself (no `viewer`), or for one of the viewers that it was judged by."""
    text = request.args.get("viewer", "").strip()
    run, error, shown = runs.get(run_id), None, None
    try:
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Refused("Give the number of a test viewer, 1 or more; leave it empty for your own list.")
        shown = preview.preview(run_id, user_id=current_user.id, viewer=int(text) if text else None)
    except ServiceError as problem:
        error = problem
    status = error.status if error else 200
    return page(
        "scientist/preview.html", "lists", status=status, run=run, preview=shown, error=error, viewer=text,
        on_air=laboratory.on_air(),
    )  # fmt: skip


def _history(error: ServiceError | None, **more: Any) -> Response:
    changes = serving.changes()
    return page(
        "scientist/on_air.html",
        "changes",
        status=error.status if error else 200,
        on_air=laboratory.on_air(),
        changes=changes,
        shares=production.by_run([change.run_id for change in changes if change.run_id is not None]),
        error=error,
        **more,
    )


def _sheet_again(run_id: int, error: ServiceError) -> Response:
    return page("scientist/run.html", status=error.status, sheet=laboratory.sheet(run_id), error=error)


def _version() -> int:
    """Which state of the air the person saw."""
    text = request.form.get("version", "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Refused("The form does not say what was on air when you saw it. Reload the page and send it again.")
    return int(text)


def _to_run(run_id: int) -> Response:
    return _to("scientist.run", run_id=run_id)


def _to(endpoint: str, **values: Any) -> Response:
    """To a page that can be reloaded; htmx is told to go there, since it would follow a redirect by itself."""
    if wants_fragment():
        answer = Response(status=200)
        answer.headers["HX-Redirect"] = url_for(endpoint, **values)
        return answer
    return back(endpoint, **values)
