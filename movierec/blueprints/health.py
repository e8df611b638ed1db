"""For whoever watches the site from outside: is this process alive?"""

from __future__ import annotations

from flask import Blueprint, Response

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> Response:
    """Say ok as soon as the process answers; asks neither the database nor the queue."""
    return Response("ok\n", mimetype="text/plain")
