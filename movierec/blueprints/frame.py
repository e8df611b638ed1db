"""What every template may call: addresses of static files and posters, the masthead's links, times and numbers."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, request, url_for
from flask_login import current_user

from movierec import posters
from movierec.blueprints.access import ACCESS
from movierec.services import catalogue, drawing, history, outside, settings

# endpoint, word, icon, on the phone's dock: the masthead grows with the role that the endpoint asks for.
LINKS = (
    ("viewer.home", "Home", "house", True),
    ("viewer.find", "Search", "search", True),
    ("diary.index", "History", "history", True),
    ("scientist.lab", "Lab", "flask-conical", False),
    ("admin.people", "Admin", "users", False),
)
TOGETHER = {
    "viewer.browse": "viewer.find", "diary.edit": "diary.index", "diary.confirm": "diary.index",
    "comparing.shelf": "scientist.lab", "comparing.compare": "scientist.lab", "comparing.data": "scientist.lab",
    "comparing.viewer": "scientist.lab",
}  # fmt: skip
LANGUAGES = {
    "cn": "Cantonese", "cs": "Czech", "da": "Danish", "de": "German", "en": "English", "es": "Spanish", "fa": "Persian",
    "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "it": "Italian",
    "ja": "Japanese", "ko": "Korean", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sr": "Serbian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "zh": "Mandarin",
}  # fmt: skip
STANDS_FOR_ID = "2147483640"
STEPS = ((60, 60, "min"), (3600, 24, "h"), (86400, 7, "day"), (7 * 86400, 9, "week"))  # seconds, how many, word


@dataclass(frozen=True)
class Link:
    """One entry of the masthead."""

    url: str
    word: str
    icon: str
    docked: bool
    current: bool


def init_app(app: Flask) -> None:
    """Give templates their helpers and, as `ui`, the macros: fragments are rendered without their page's imports."""
    app.jinja_env.globals.update(
        asset=asset, film_url=film_url, mark_url=mark_url, poster_url=poster_url, door_url=door_url,
        nav=nav, now=_now, latest_day=history.latest_day, site_data=catalogue.source, demo_site=settings.demo,
        asked_at=outside.asked_at,
    )  # fmt: skip
    app.jinja_env.filters.update(
        ago=ago,
        exact=exact,
        day=day,
        figures=figures,
        hours=hours,
        percent=percent,
        digits=digits,
        language=language,
    )  # fmt: skip
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["ui"] = app.jinja_env.get_template("macros.html").module


def asset(name: str) -> str:
    """The address of a static file, with its content's hash: it may be cached for ever."""
    return _asset(current_app.static_folder or "", request.script_root, name)


@cache
def _asset(folder: str, _root: str, name: str) -> str:
    return url_for("static", filename=name, v=hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest()[:10])


def film_url(movie_id: int) -> str:
    """The address of a film's page."""
    return _with_number(request.script_root, "viewer.film").replace(STANDS_FOR_ID, str(movie_id))


def mark_url(movie_id: int) -> str:
    """Where a film is marked as watched."""
    return _with_number(request.script_root, "diary.mark").replace(STANDS_FOR_ID, str(movie_id))


def poster_url(film: drawing.Drawable) -> str:
    """The address of a film's drawn poster. It changes only when the drawing or what it says does."""
    address = _with_number(request.script_root, "viewer.poster", version=posters.VERSION)
    return f"{address.replace(STANDS_FOR_ID, str(film.id))}?f={drawing.fingerprint(film)}"


@cache
def _with_number(_root: str, endpoint: str, **values: Any) -> str:
    """An address with a stand-in for the film: a page has a hundred of them, and Flask takes 20 us to build one."""
    return url_for(endpoint, movie_id=int(STANDS_FOR_ID), **values)


def door_url(place: int) -> str:
    """The address of one of the posters behind the sign-in form."""
    return url_for("viewer.door", version=posters.VERSION, place=place)


def nav() -> list[Link]:
    """The links that this person may follow."""
    here = TOGETHER.get(request.endpoint or "", request.endpoint or "")
    return [
        Link(url_for(endpoint), word, icon, docked, here == endpoint or (not docked and _in(here, endpoint)))
        for endpoint, word, icon, docked in LINKS
        if ACCESS[endpoint] == "public" or current_user.may(ACCESS[endpoint])
    ]


def _in(here: str, endpoint: str) -> bool:
    return here.split(".")[0] == endpoint.split(".")[0]


def _now() -> datetime:
    return datetime.now(UTC)


def ago(moment: datetime) -> str:
    """ "12 min ago"; past two months, the day."""
    seconds = (_now() - moment).total_seconds()
    if seconds < 45:
        return "just now"
    for size, many, word in STEPS:
        count = max(1, round(seconds / size))
        if count < many or (word == "week" and count <= many):
            return f"{count} {word}{'s' if count > 1 and word in ('day', 'week') else ''} ago"
    return day(moment)


def exact(moment: datetime) -> str:
    """For the title of a time: "22 November 2026, 12:40 UTC"."""
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def day(moment: datetime | date) -> str:
    """ "21 Nov 2026"."""
    return f"{moment.day} {moment:%b %Y}"


def figures(number: int) -> str:
    """Thousands apart: 100,836."""
    return f"{number:,}"


def hours(minutes: int) -> str:
    """A running time: "1 h 57", "45 min"."""
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d}"


def percent(share: float) -> str:
    """A share of people, without decimals: "15 %"."""
    return f"{100 * share:.0f} %"


def language(code: str) -> str:
    """A film's language for people; a code that has no name here as it is."""
    return LANGUAGES.get(code, code)


def digits(value: float, places: int = 3) -> str:
    """A metric: three digits, no leading zero, a true minus sign. A fourth digit would be noise."""
    text = f"{abs(value):.{places}f}"
    text = text[1:] if text.startswith("0.") else text
    return f"\u2212{text}" if value < 0 and float(f"{value:.{places}f}") else text
