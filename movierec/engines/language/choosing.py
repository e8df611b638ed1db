"""A shortlist goes to the model and comes back in its order: chosen with reasons, then filled in from the shortlist."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from movierec.engines.language import prompt
from movierec.engines.language.answer import Named, parse
from movierec.engines.language.world import Ask, Reply, Silence, World

SHORTLIST = 80  # films that the model may choose from
CHOSEN = 12  # films that it is asked for: more reasons than anybody reads cost time and money


@dataclass(frozen=True)
class Choice:
    """What the model chose, never anything else than films of the shortlist; or `silence`, why it chose nothing."""

    named: tuple[Named, ...] = ()
    reply: Reply | None = None
    silence: str = ""

    @property
    def model(self) -> str:
        """Who chose; empty where nobody did."""
        return self.reply.model if self.reply is not None else ""

    @property
    def demo(self) -> bool:
        """Whether a stand-in chose that is no language model."""
        return self.reply is not None and self.reply.demo


def choose(
    world: World, shortlist: Sequence[int], watched: Sequence[tuple[int, float | None]], ask: Ask, k: int = CHOSEN
) -> Choice:
    """Ask the model for the k best of the shortlist. `watched` is (movie id, rating), oldest first.

    What a model does or says never raises; what `world.films` raises comes through.
    """
    seen = {movie_id for movie_id, _ in watched}
    offered = [movie_id for movie_id in dict.fromkeys(shortlist) if movie_id not in seen][:SHORTLIST]
    remembered = watched[-prompt.REMEMBERED :]
    facts = world.films([*offered, *(movie_id for movie_id, _ in remembered)])
    candidates = [(movie_id, facts[movie_id]) for movie_id in offered if movie_id in facts]
    if not candidates:
        return Choice(silence="There was no film to choose from.")
    history = [prompt.Seen(facts[movie_id], rating) for movie_id, rating in remembered if movie_id in facts]
    asked = prompt.messages(candidates, history, ask.wish, min(k, len(candidates)))
    allowed = {movie_id for movie_id, _ in candidates}
    try:
        reply = world.chat(
            asked,
            viewer_id=ask.viewer_id,
            cache_key=prompt.cache_key(asked),
            accept=lambda text: bool(parse(text, allowed)),
        )
    except Silence as silence:
        return Choice(silence=str(silence))
    named = parse(reply.text, allowed)[:k]
    if not named:
        return Choice(silence="The language model's answer could not be used.")
    return Choice(tuple(named), reply)


def rest(shortlist: Sequence[int], named: Collection[Named], count: int) -> list[int]:
    """What fills up behind the named films, in the shortlist's order."""
    taken = {one.movie_id for one in named}
    return [movie_id for movie_id in dict.fromkeys(shortlist) if movie_id not in taken][: max(0, count)]
