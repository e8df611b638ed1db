"""Several values at once: one page for each series of trainings, and the way to end it."""

from __future__ import annotations

from flask import Blueprint, Response, flash
from flask_login import current_user

from movierec.blueprints.htmx import back, page, wants_fragment
from movierec.services import series
from movierec.services.errors import Conflict

blueprint = Blueprint("series", __name__, url_prefix="/lab/series")

NUMBER = "<int(max=2147483647):number>"


@blueprint.get(f"/{NUMBER}")
def sheet(number: int) -> Response:
    """One series. The part that moves asks for itself, and for the whole page once the last has ended."""
    found = series.sheet(number)
    answer = page("scientist/series.html", "members", sheet=found)
    if wants_fragment() and not found.open:
        answer.headers["HX-Refresh"] = "true"
    return answer


@blueprint.post(f"/{NUMBER}/cancel")
def cancel(number: int) -> Response:
    """Stop what runs of it and begin nothing more."""
    try:
        series.cancel(number, who=current_user.name)
        flash("Stopped. What was finished stays.")
    except Conflict as error:
        flash(error.message)
    return back("series.sheet", number=number)
