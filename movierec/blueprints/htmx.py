"""One URL, two bodies: the whole page, or the block of it that HTMX asked for."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, make_response, redirect, render_template, request, url_for


def wants_fragment() -> bool:
    """Whether HTMX asks for a part. A history restore gets the whole page."""
    return request.headers.get("HX-Request") == "true" and request.headers.get("HX-History-Restore-Request") != "true"


def page(template: str, block: str | None = None, *, status: int = 200, **context: Any) -> Response:
    """The template; or only its `block` where HTMX asks and a block is named."""
    if block is not None and wants_fragment():
        current_app.update_template_context(context)
        source = current_app.jinja_env.get_template(template)
        body = "".join(source.blocks[block](source.new_context(context)))
    else:
        body = render_template(template, **context)
    answer = make_response(body, status)
    answer.vary.add("HX-Request")
    return answer


def back(endpoint: str, **values: Any) -> Response:
    """After a change without HTMX: to a page that can be reloaded safely."""
    return moved(url_for(endpoint, **values), code=303)


def moved(url: str, code: int = 302) -> Response:
    """A redirect as the type that every view answers with."""
    return make_response(redirect(url, code))
