"""What a service says when it can't do what was asked: each carries a sentence for the person and an HTTP status.

ServiceError > Refused (422), Forbidden (403), NotFound (404), Conflict (409), TooMany (429), Unavailable (503).
"""

from __future__ import annotations


class ServiceError(Exception):
    """A sentence that says what is wrong and what to do."""

    status = 500

    def __init__(self, message: str, *, field: str | None = None, link: str | None = None, retry_after: int = 0):
        super().__init__(message)
        self.message = message
        self.field = field  # the form field that it is about
        self.link = link  # where to look instead
        self.retry_after = retry_after  # seconds


class Refused(ServiceError):
    """The input can't be used as it is."""

    status = 422


class Forbidden(ServiceError):
    """Known and not allowed."""

    status = 403


class NotFound(ServiceError):
    """There is no such thing, or it is somebody else's: the answer is the same."""

    status = 404


class Conflict(ServiceError):
    """Something else is in the way; `link` leads to it."""

    status = 409


class TooMany(ServiceError):
    """Too often; `retry_after` says when again."""

    status = 429


class Unavailable(ServiceError):
    """Something that this needs is not there right now."""

    status = 503
