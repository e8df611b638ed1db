"""Changes of one's own history and its page. Every answer is the page again, or the part of it that changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, flash, request, url_for
from flask_login import current_user

from movierec.blueprints.htmx import back, page, wants_fragment
from movierec.blueprints.viewer import FILM, latest, logged, number
from movierec.services import catalogue, history, programme, recommending
from movierec.services.errors import NotFound, Refused

blueprint = Blueprint("diary", __name__)

ENTRY = "<int(max=2147483647):view_id>"


@blueprint.post(f"/movies/{FILM}/watched")
def mark(movie_id: int) -> Response:
    """Mark a film as watched, with a rating and a day where they are given."""
    form = request.form
    try:
        seen = catalogue.film(movie_id, current_user.id).seen
        rating = history.parse_rating(form["rating"]) if "rating" in form else history.UNKEPT
        day = _new_day(form.get("day"), seen.watched_at if seen else None)
        marked = history.mark(current_user.id, movie_id, rating=rating, watched_at=day)
    except Refused as error:
        film = catalogue.film(movie_id, current_user.id)
        return page("viewer/film.html", "entry", status=422, film=film, error=error, form=form)
    text = f"{marked.card.title} is in your history." if marked.new else f"{marked.card.title}: entry changed."
    toast: dict[str, Any] = {
        "text": text,
        "undo": url_for("diary.remove", view_id=marked.view_id) if marked.new else None,
        "rate": url_for("viewer.film", movie_id=movie_id) if not marked.rating else None,
    }
    return _answer(movie_id, text, toast)


@blueprint.post(f"/history/{ENTRY}/remove")
def remove(view_id: int) -> Response:
    """Take an entry out; the answer holds the way back."""
    entry = history.entry(current_user.id, view_id)
    removed = history.remove(current_user.id, view_id)
    text = f"{entry.card.title} left your history."
    toast: dict[str, Any] = {"text": text, "undo": url_for("diary.undo"), "fields": {"token": removed.token}}
    return _answer(entry.card.id, text, toast, token=removed.token)


@blueprint.post("/history/undo")
def undo() -> Response:
    """Put back what was taken out."""
    count = history.undo(current_user.id, request.form.get("token", ""))
    text = "It is back in your history." if count == 1 else f"{count} films are back in your history."
    return _answer(_film(), text, {"text": text})


def _film() -> int:
    """The film whose card or page asked, where one did."""
    text = request.form.get("film", "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _answer(movie_id: int, text: str, toast: dict[str, Any], token: str | None = None) -> Response:
    """Back to where the change was made: `back` names the page, `place` the card on it."""
    where, place = request.form.get("back", "history"), request.form.get("place", "")[:20]
    toast |= {"back": where, "place": place, "film": movie_id}
    if not wants_fragment():
        if token is not None:
            return back("diary.index", undo=token)
        flash(text)
        return back("viewer.home") if where == "home" else _page_of(where, movie_id)
    if where == "home":
        slate = recommending.slate_for(current_user.id)
        return logged(
            page("viewer/home.html", "slate", programme=programme.arrange(slate), toast=toast, **latest()), slate
        )
    if where == "film":
        return page("viewer/film.html", "entry", film=catalogue.film(movie_id, current_user.id), toast=toast)
    if where == "card":
        cards = catalogue.cards([movie_id], current_user.id)
        return page("viewer/_card.html", film=cards[0] if cards else None, place=place, toast=toast)
    return page("viewer/history.html", "diary", diary=_diary(), numbers=history.numbers(current_user.id), toast=toast)


def _page_of(where: str, movie_id: int) -> Response:
    return back("viewer.film", movie_id=movie_id) if where in ("film", "card") and movie_id else back("diary.index")


def _diary() -> history.Diary:
    """The page of the diary that the form was on, or the last one if that is gone."""
    asked = number(request.values, "page")
    try:
        return history.diary(current_user.id, asked)
    except NotFound:
        return history.diary(current_user.id, max(1, asked - 1))


@blueprint.get("/history")
def index() -> Response:
    """The diary, newest first."""
    diary = history.diary(current_user.id, number(request.args, "page"))
    return page(
        "viewer/history.html",
        "diary",
        diary=diary,
        numbers=history.numbers(current_user.id),
        undo=request.args.get("undo", "")[:20],
    )


@blueprint.get(f"/history/{ENTRY}/edit")
def edit(view_id: int) -> Response:
    """The form for one entry."""
    entry = history.entry(current_user.id, view_id)
    return page("viewer/edit.html", "form", entry=entry, page_number=number(request.args, "page"))


@blueprint.post(f"/history/{ENTRY}/edit")
def save(view_id: int) -> Response:
    """Change rating and day of one entry."""
    form = request.form
    entry = history.entry(current_user.id, view_id)
    try:
        history.change(
            current_user.id,
            view_id,
            rating=history.parse_rating(form.get("rating")),
            watched_at=_new_day(form.get("day"), entry.watched_at),
        )
    except Refused as error:
        at = number(form, "page")
        return page("viewer/edit.html", "form", status=422, entry=entry, error=error, form=form, page_number=at)
    text = f"{entry.card.title}: entry changed."
    return _answer(entry.card.id, text, {"text": text})


def _new_day(text: str | None, kept: datetime | None) -> datetime | None:
    """None where the day stays as it was: the time within the day is kept then, and so the order of the history."""
    return None if kept is not None and text == kept.date().isoformat() else history.parse_day(text)


@blueprint.get("/history/clear")
def confirm() -> Response:
    """Ask before everything goes."""
    return page("viewer/clear.html", count=history.count(current_user.id))


@blueprint.post("/history/clear")
def clear() -> Response:
    """Take everything out; the diary then offers the way back."""
    removed = history.clear(current_user.id)
    return back("diary.index", undo=removed.token) if removed.count else back("diary.index")
