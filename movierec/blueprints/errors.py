"""Errors as pages: what happened, what was kept, what to do; as a fragment where HTMX asked."""

from __future__ import annotations

from flask import Flask, Response, current_app, make_response
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoFreeConnection
from werkzeug.exceptions import HTTPException, SecurityError

from movierec.blueprints.headers import LARGEST_MB
from movierec.blueprints.htmx import page, wants_fragment
from movierec.extensions import BadDatabase, busy, db, unwritable
from movierec.services.errors import ServiceError

# In our words, where the one who aborted gave none.
SENTENCES = {
    400: "The request can't be understood. Go back, reload the page and try again.",
    403: "You may not do that here.",
    404: "There is no such page. The address may be mistyped, or what it showed is gone.",
    405: "This address can't be used that way. Go back and use the page's own buttons.",
    408: "The request took too long to arrive. Try again.",
    413: f"That is more than this form takes ({LARGEST_MB} MB).",
    415: "This address does not take that kind of data.",
}
HEADINGS = {
    401: "You are signed out",
    403: "Not for you",
    404: "Not here",
    405: "Not that way",
    409: "Something is in the way",
    413: "Too much at once",
    429: "Slower, please",
    503: "Try again in a moment",
    507: "No room left",
}
BUSY = "The database is busy. Nothing was changed; try again in a moment."
FULL = "The disk is full or read-only. Nothing was changed; tell the administrator."
BROKEN = "Something broke on our side and was written to the log. Nothing half-done was kept."


def init_app(app: Flask) -> None:
    """One handler a kind of error."""
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _stale_form)
    app.register_error_handler(ServiceError, _service)
    app.register_error_handler(OperationalError, _database)
    app.register_error_handler(NoFreeConnection, _crowded)
    app.register_error_handler(BadDatabase, _no_database)
    app.register_error_handler(BlockingIOError, _too_slow)
    app.register_error_handler(Exception, _defect)


def _too_slow(_error: BlockingIOError) -> Response:
    """The client fell silent in the middle of its request (gunicorn.conf.py: SILENCE)."""
    answer = _answer(408, SENTENCES[408])
    answer.headers["Connection"] = "close"
    return answer


def _answer(status: int, message: str, link: str | None = None, retry_after: int = 0) -> Response:
    """The error's page; the sentence alone where the page itself can't be made (database gone, foreign host name)."""
    heading = HEADINGS.get(status, "That did not work" if status < 500 else "Our fault")
    try:
        answer = page(
            "errors/error.html",
            "error",
            status=status,
            heading=heading,
            message=message,
            link=link,
            fragment=wants_fragment(),
        )
        if wants_fragment():  # a notice: what was to be changed stays on the page as it is
            answer.headers["HX-Retarget"], answer.headers["HX-Reswap"] = "#toasts", "innerHTML"
    except Exception:  # whatever keeps the page from being made must not hide what happened
        current_app.logger.exception("the page of an error could not be made")
        answer = Response(f"{message}\n", status, mimetype="text/plain")
    if retry_after:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


def _http(error: HTTPException) -> Response:
    if error.response is not None or error.code is None or error.code < 400:
        return make_response(error.get_response())
    if isinstance(error, SecurityError):  # a host name that is none: no page of ours can be linked under it
        return Response(f"{SENTENCES[400]}\n", 400, mimetype="text/plain")
    given = error.description if error.description != type(error).description else None
    answer = _answer(error.code, given or SENTENCES.get(error.code) or f"{error.name}.")
    for name, value in error.get_headers():
        if name != "Content-Type":  # Allow, Retry-After, Content-Range
            answer.headers[name] = value
    return answer


def _stale_form(_error: CSRFError) -> Response:
    return _answer(400, "This form was open for too long or in another session. Reload the page and send it again.")


def _service(error: ServiceError) -> Response:
    return _answer(error.status, error.message, error.link, error.retry_after)


def _database(error: OperationalError) -> Response:
    """A busy or full database is said as such (503, try again); anything else is a defect."""
    db.session.rollback()
    if busy(error):
        return _answer(503, BUSY, retry_after=2)
    if unwritable(error):
        return _answer(507, FULL)
    return _defect(error)


def _crowded(_error: NoFreeConnection) -> Response:
    return _answer(503, BUSY, retry_after=2)


def _no_database(error: BadDatabase) -> Response:
    current_app.logger.error("%s", error)
    return _answer(503, "The site’s database can't be used yet. Whoever runs this server: run `flask seed`.")


def _defect(error: Exception) -> Response:
    db.session.rollback()
    current_app.logger.error("an unexpected error", exc_info=error)
    return _answer(500, BROKEN)
