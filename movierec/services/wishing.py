"""A wish in words: what was understood, the films whose content fits, and a language model's order of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from flask import current_app

from movierec.content import asking
from movierec.content.asking import Hit
from movierec.content.index import ContentIndex
from movierec.content.lengths import Span
from movierec.content.wish import LONGEST, Idea, Wish, read
from movierec.engines.language.choosing import SHORTLIST, Choice, choose, rest
from movierec.engines.language.world import Ask
from movierec.extensions import db
from movierec.services import answering, catalogue, content, llm, recommending
from movierec.services.answering import DEMO, Watched, titles
from movierec.services.desk import desk
from movierec.services.outside import SiteWorld
from movierec.services.slates import CONTENT, MODEL, Because, Slate

SHOWN = 24  # films on the page of a wish
OFFERED = 60  # films that fit a wish and are offered to the model; the rest of its shortlist is the viewer's own
MEANT = 4  # genres or names that an idea is explained with
WHY_CONTENT = (
    "Films whose genres, people, countries, keywords and descriptions have what you asked for, best fit first. "
    "No engine was trained for it, and nothing you have watched is on it."
)
NOT_READ = "The films' descriptions are still being read. Ask again in a moment."
NOT_UNDERSTOOD = "None of these words says something about the films here, so there is nothing to go by."
BUSY = "The language model is busy with other wishes."
NOTHING_LEFT = "No film here fits all of that. Take something out of the wish."


@dataclass(frozen=True)
class Understood:
    """A wish as the page repeats it: short phrases, each already in words."""

    wanted: list[str]
    without: list[str]
    unknown: list[str]  # words that no film here has


@dataclass(frozen=True)
class Wished:
    """The answer to a wish; `said` is what to tell where there is no film."""

    text: str
    understood: Understood | None
    slate: Slate | None
    said: str = ""


def granted(viewer_id: int, text: str, *, wait: bool = False) -> Wished:
    """The films for a wish of at most LONGEST characters; what is longer is cut, and the text given back shows it.

    Without `wait` no language model is asked: `slate.pending` says that asking again with it would bring its order.
    """
    begun = perf_counter()
    text = " ".join(text.split())[:LONGEST]
    if not text:
        return Wished("", None, None)
    index = content.index()
    if index is None:
        return Wished(text, None, None, NOT_READ)
    wish = read(text, index)
    understood = _understood(wish, index)
    key = ("wish", recommending.asked_in(viewer_id, SHOWN), text)
    kept = recommending.kept_slate(key, viewer_id)
    if kept is not None:
        return Wished(text, understood, kept)
    seen = answering.watched(viewer_id)
    problem = llm.available()
    if not wait or problem:
        slate = _of_hits(asking.search(index, wish, SHOWN, seen.movie_ids), viewer_id, begun)
        slate = replace(slate, pending=not problem and bool(slate.films or wish.empty))
        return Wished(text, understood, slate, _said(wish, slate))
    slate, spoke = _of_model(index, wish, seen, viewer_id, begun)
    desk().keep(key, replace(slate, fresh=False), None if spoke else answering.SILENT_FOR)
    return Wished(text, understood, slate, _said(wish, slate))


def _said(wish: Wish, slate: Slate) -> str:
    if slate.films:
        return ""
    return NOT_UNDERSTOOD if wish.empty else NOTHING_LEFT


def _of_hits(hits: Sequence[Hit], viewer_id: int, begun: float) -> Slate:
    """The films by content alone."""
    films = catalogue.cards([hit.movie_id for hit in hits], viewer_id)
    because = {hit.movie_id: Because(", ".join(hit.shared)) for hit in hits if hit.shared}
    return Slate(
        films, len(films), CONTENT, WHY_CONTENT, None, None, False, viewer_id,
        milliseconds=1000 * (perf_counter() - begun), because=because,
    )  # fmt: skip


def _of_model(index: ContentIndex, wish: Wish, seen: Watched, viewer_id: int, begun: float) -> tuple[Slate, bool]:
    """The films that fit in the model's order, and whether it spoke; those that it left out come after."""
    hits = asking.search(index, wish, OFFERED, seen.movie_ids)
    own = [film.id for film in recommending.slate_for(viewer_id).films]
    own = own if wish.empty else asking.fitting(index, wish, own)
    shortlist = list(dict.fromkeys([*(hit.movie_id for hit in hits), *own]))[:SHORTLIST]
    choice = _choice(shortlist, seen, Ask(viewer_id, wish.text))
    slate = _of_hits(hits, viewer_id, begun)
    if not choice.named:
        kept = f"{choice.silence} This is the list by content alone."
        return replace(slate, films=slate.films[:SHOWN], own=len(slate.films[:SHOWN]), fallback=kept), False
    chosen = [one.movie_id for one in choice.named]
    order = chosen + rest([hit.movie_id for hit in hits], choice.named, SHOWN - len(chosen))
    films = catalogue.cards(order, viewer_id)
    because = {movie_id: replace(why, filled=True) for movie_id, why in slate.because.items()}
    because |= {one.movie_id: Because(one.reason) for one in choice.named}
    found = "Films of your own list" if wish.empty else "Films that fit your wish"
    slate = replace(
        slate, films=films, own=len(chosen), origin=MODEL, because=because, model=choice.model, demo=choice.demo,
        why=f"{found}, put in order by {answering.named(choice.model)}.", notice=DEMO if choice.demo else None,
        milliseconds=1000 * (perf_counter() - begun),
    )  # fmt: skip
    return slate, True


def _choice(shortlist: Sequence[int], seen: Watched, about: Ask) -> Choice:
    """What the model makes of it; nothing where all that may wait for it are waiting."""
    ratings = [None if np.isnan(rating) else float(rating) for rating in seen.history.ratings]
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    gate = desk().slow
    if not gate.acquire(blocking=False):
        return Choice(silence=BUSY)
    db.session.rollback()  # no transaction stays open while a model thinks
    try:
        return choose(SiteWorld(app), shortlist, list(zip(seen.movie_ids, ratings, strict=True)), about)
    finally:
        gate.release()


def _understood(wish: Wish, index: ContentIndex) -> Understood:
    """The wish in phrases: films by their titles, lengths and years in words."""
    movies = [int(index.movie_ids[film]) for film in (*wish.like, *wish.unlike)]
    names = titles(movies)
    like, unlike = movies[: len(wish.like)], movies[len(wish.like) :]
    wanted = [f"like {names[movie]}" for movie in like if movie in names]
    wanted += [_idea(idea) for idea in wish.wanted]
    wanted += [phrase for phrase in (_years(wish.years), _minutes(wish.runtime)) if phrase]
    without = [f"like {names[movie]}" for movie in unlike if movie in names]
    return Understood(wanted, without + [_idea(idea) for idea in wish.unwanted], list(dict.fromkeys(wish.unknown)))


def _idea(idea: Idea) -> str:
    means = list(idea.means[:MEANT]) + (["…"] if len(idea.means) > MEANT else [])
    return f"{idea.said} ({', '.join(means)})" if means else idea.said


def _years(span: Span | None) -> str:
    if span is None:
        return ""
    if span.low is None:
        return f"until {span.high}"
    if span.high is None:
        return f"since {span.low}"
    return f"from {span.low}" if span.low == span.high else f"from {span.low} to {span.high}"


def _minutes(span: Span | None) -> str:
    if span is None:
        return ""
    if span.low is None:
        return f"at most {span.high} minutes"
    return f"at least {span.low} minutes" if span.high is None else f"{span.low} to {span.high} minutes"
