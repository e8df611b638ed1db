"""The rows of the house: columns, constraints and relations; verbs live in services/."""

from movierec.tables.base import Moment, now
from movierec.tables.films import Movie, MovieGenre, View
from movierec.tables.laboratory import (
    ACTIVE_STATES,
    RUN_STATES,
    LogLine,
    Measurement,
    MetricRow,
    Run,
    Series,
    Snapshot,
)
from movierec.tables.llm import LlmAnswer, LlmBreaker, LlmCall
from movierec.tables.people import ROLES, LoginAttempt, Session, Setting, User
from movierec.tables.serving import Serving, ServingChange, SlateRow

__all__ = [
    "ACTIVE_STATES",
    "ROLES",
    "RUN_STATES",
    "LlmAnswer",
    "LlmBreaker",
    "LlmCall",
    "LogLine",
    "LoginAttempt",
    "Measurement",
    "MetricRow",
    "Moment",
    "Movie",
    "MovieGenre",
    "Run",
    "Series",
    "Serving",
    "ServingChange",
    "Session",
    "Setting",
    "SlateRow",
    "Snapshot",
    "User",
    "View",
    "now",
]
