"""Errors as pages: what happened, what was kept, what to do; as a fragment where HTMX asked."""

from __future__ import annotations

import sqlite3

from flask import Flask, Response, current_app
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from movierec.blueprints.htmx import page
from movierec.extensions import db
from movierec.services.errors import ServiceError


def init_app(app: Flask) -> None:
    """One handler a kind of error."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(ServiceError, _service)
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(Exception, _defect)


def _answer(status: int, message: str, link: str | None = None, retry_after: int = 0) -> Response:
    answer = page("errors/error.html", "error", status=status, code=status, message=message, link=link)
    if retry_after:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


def _http(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return error.get_response()
    answer = _answer(error.code, error.description or error.name)
    if error.code == 405:
        answer.headers["Allow"] = error.get_response().headers.get("Allow", "")
    return answer


def _stale_form(error: CSRFError) -> Response:
    return _answer(400, "This form was open for too long or in another session. Reload the page and send it again.")


def _service(error: ServiceError) -> Response:
    return _answer(error.status, error.message, error.link, error.retry_after)


def _database(error: OperationalError) -> Response:
    """A busy or full database is said as such (503, try again); anything else is a defect."""
    db.session.rollback()
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _answer(503, "The database is busy. Nothing was changed; try again in a moment.", retry_after=2)
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
        return _answer(507, "The disk is full or read-only. Nothing was changed; tell the administrator.")
    return _defect(error)


def _defect(error: Exception) -> Response:
    current_app.logger.exception("an unexpected error", exc_info=error)
    return _answer(500, "Something broke on our side and was written to the log. Nothing half-done was kept.")
