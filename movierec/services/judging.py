"""What a judgement needs of the site: the catalogue's genres and years, and which rows of numbers are of everybody."""

from __future__ import annotations

from sqlalchemy import ColumnElement, or_, select

from movierec.dataset import ItemIndex
from movierec.evaluation.beyond import Films
from movierec.evaluation.segments import ALL
from movierec.extensions import db
from movierec.tables import MetricRow, Movie


def films(index: ItemIndex) -> Films:
    """Genres and years of these movies, as far as the catalogue knows them. Leaves no transaction open."""
    found = db.session.execute(select(Movie.id, Movie.genres, Movie.year)).all()
    db.session.rollback()
    items = index.items([movie_id for movie_id, _, _ in found]).tolist()
    return Films(
        {item: genres for item, (_, genres, _) in zip(items, found, strict=True) if item and genres},
        {item: year for item, (_, _, year) in zip(items, found, strict=True) if item and year},
    )


def of_everybody() -> ColumnElement[bool]:
    """Metric rows of all viewers asked, or of a sample drawn from them; none of one kind of viewer or film."""
    return or_(MetricRow.segment == ALL, MetricRow.segment.startswith("sample:"))


def is_of_everybody(segment: str) -> bool:
    """The same of one segment's name."""
    return segment == ALL or segment.startswith("sample:")
