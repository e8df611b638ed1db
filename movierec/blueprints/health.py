"""For whoever watches the site from outside: is this process alive, can it serve, which version is it?"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from movierec.config import VERSION
from movierec.services import health

blueprint = Blueprint("health", __name__)


@blueprint.get("/health/live")
def live() -> Response:
    """Say ok as soon as the process answers; asks neither the database nor the queue."""
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/health/ready")
def ready() -> Response:
    """Each part by name. 503 where this process should get no requests; 200 where only trainings must wait."""
    found = health.look()
    answer = jsonify(found.as_dict())
    answer.status_code = 503 if found.state == health.FAILING else 200
    return answer


@blueprint.get("/version")
def version() -> Response:
    """Which version of the code this process runs."""
    return jsonify({"version": VERSION})
