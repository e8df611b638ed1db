"""The viewer's pages: home, search and browsing, a film, the posters."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, current_app, make_response, request, url_for
from flask_login import current_user
from werkzeug.datastructures import MultiDict

from movierec import posters
from movierec.blueprints.frame import poster_url
from movierec.blueprints.htmx import back, moved, page, wants_fragment
from movierec.services import catalogue, content, drawing, history, programme, recommending, search, slates, wishing
from movierec.services.slates import Slate

blueprint = Blueprint("viewer", __name__)

FILM = "<int(max=2147483647):movie_id>"
SUGGESTED, SHOWN, SIMILAR = 6, 60, 6  # films under the search field; on the page of results; like a film
EXAMPLES = (
    "a short comedy from the 90s",
    "scary, but nothing gory",
    "animation for kids under 90 minutes",
    "an old film noir",
    "science fiction, not horror",
)
IMMUTABLE = "private, max-age=31536000, immutable"


@blueprint.get("/")
def home() -> Response:
    """The viewer's own list; for visitors the door."""
    if not current_user.is_authenticated:
        return moved(url_for("auth.login"))
    slate = recommending.slate_for(current_user.id, wait="wait" in request.args)
    return logged(page("viewer/home.html", "slate", programme=programme.arrange(slate), **latest()), slate)


def latest() -> dict[str, Any]:
    """What the home page says about the history itself."""
    return {"latest": history.latest(current_user.id), "watched": history.count(current_user.id)}


def logged(answer: Response, slate: Slate) -> Response:
    """The answer; once it is sent, the slate is kept."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]

    def keep() -> None:
        with app.app_context():
            slates.log(slate)

    answer.call_on_close(keep)
    return answer


def number(values: MultiDict[str, str], name: str) -> int:
    """A page's number in an address; anything but a small whole number is no page."""
    text = values.get(name, "1")
    if not (text.isascii() and text.isdigit() and len(text) <= 7):
        abort(404, "There is no such page.")
    return int(text)


@blueprint.get("/browse")
def browse() -> Response:
    """The catalogue by genre, years and order."""
    chosen: dict[str, Any] = {name: request.args.get(name, "")[:40] for name in ("genre", "years", "sort")}
    chosen["sort"] = chosen["sort"] or "popular"
    films = catalogue.browse(current_user.id, page=number(request.args, "page"), **chosen)
    return page("viewer/search.html", "results", question="", found=films, chosen=chosen, **_facets())


def _facets() -> dict[str, Any]:
    """What the form beside the films offers; a fragment is without the form and needs only the orders' names."""
    if wants_fragment():
        return {"sorts": catalogue.SORTS}
    return {"genres": catalogue.genres(), "decades": catalogue.decades(), "sorts": catalogue.SORTS}


@blueprint.get("/search")
def find() -> Response:
    """Films by words; without any, the catalogue from its best known on."""
    question = request.args.get("q", "").strip()[: search.LONGEST]
    chosen = {"genre": "", "years": "", "sort": "popular"}
    if not question:
        films = catalogue.browse(current_user.id)
        return page("viewer/search.html", "results", question="", found=films, chosen=chosen, **_facets())
    found = search.find(question, SHOWN)
    cards = catalogue.cards(found.movie_ids, current_user.id)
    films = catalogue.Page(cards, 1, 1, len(cards))
    return page(
        "viewer/search.html",
        "results",
        question=question,
        found=films,
        guessed=found.guessed,
        full=len(cards) == SHOWN,
        chosen=chosen,
        **_facets(),
    )


@blueprint.get("/search/suggest")
def suggest() -> Response:
    """The options under the search field while somebody types."""
    question = request.args.get("q", "").strip()[: search.LONGEST]
    found = search.find(question, SUGGESTED)
    cards = catalogue.cards(found.movie_ids, current_user.id)
    pieces = {card.id: search.highlight(card.title, question) for card in cards}
    return page("viewer/_options.html", films=cards, pieces=pieces, question=question)


@blueprint.get("/wish")
def wish() -> Response:
    """Films for a wish in words, by content: nothing is asked outside, so this address may be opened by anybody.

    Where a model is set up the page then asks it by itself, but not when a link of another site led here: that must
    not spend a person's questions.
    """
    ours = request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
    return _granted(wishing.granted(current_user.id, request.args.get("q", "")), ours)


@blueprint.post("/wish")
def ask_model() -> Response:
    """The same films in a language model's order: it costs, so only a form of ours may ask."""
    wished = wishing.granted(current_user.id, request.form.get("q", ""), wait=True)
    return _granted(wished) if wants_fragment() else back("viewer.wish", q=wished.text)


def _granted(wished: wishing.Wished, ours: bool = True) -> Response:
    answer = page("viewer/wish.html", "wished", wished=wished, examples=EXAMPLES, at_once=ours)
    return logged(answer, wished.slate) if wished.slate is not None else answer


@blueprint.get(f"/movies/{FILM}")
def film(movie_id: int) -> Response:
    """One film, the viewer's entry about it, why it is on their list if it is, and films like it."""
    viewer = current_user.id
    return page(
        "viewer/film.html",
        film=catalogue.film(movie_id, viewer),
        because=recommending.because(viewer, movie_id),
        similar=content.similar(movie_id, viewer, SIMILAR),
    )


@blueprint.get("/posters/v<int(max=9999):version>/<int(max=2147483647):movie_id>.svg")
def poster(version: int, movie_id: int) -> Response:
    """A film's drawn poster, kept by the browser for ever. An older one's address leads to the present one."""
    drawn = catalogue.movie(movie_id)
    if version != posters.VERSION or request.args.get("f") != drawing.fingerprint(drawn):
        return moved(poster_url(drawn))
    return _svg(drawing.of_film(drawn))


@blueprint.get("/door/v<int(max=9999):version>/<int(max=99):place>.svg")
def door(version: int, place: int) -> Response:
    """One of the posters behind the sign-in form."""
    if version != posters.VERSION:
        return moved(url_for("viewer.door", version=posters.VERSION, place=place))
    return _svg(drawing.at_the_door(place))


def _svg(text: str) -> Response:
    answer = make_response(text)
    answer.mimetype = "image/svg+xml"
    answer.headers["Cache-Control"] = IMMUTABLE
    return answer
