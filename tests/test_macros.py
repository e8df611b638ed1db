"""What pages are made of: an engine's mark, for the engines that have a shape and for any other."""

from __future__ import annotations

import pytest
from flask import Flask

RING = '<circle class="estroke" stroke-width="2" cx="6" cy="6" r="4"/>'


@pytest.mark.parametrize(
    ("slug", "shape"),
    [
        ("nextitnet", '<circle class="efill" cx="6" cy="6" r="5"/>'),
        ("ease", '<path class="estroke" stroke-width="2.5" d="M1.5 1.5l9 9m0-9l-9 9"/>'),
        ("somebodys-own", RING),
    ],
)
def test_a_mark_has_the_engines_hue_and_shape_or_the_ring(app: Flask, slug: str, shape: str) -> None:
    mark = app.jinja_env.get_template("macros.html").module.mark(slug)  # type: ignore[attr-defined]
    assert str(mark) == f'<svg class="e-{slug}" viewBox="0 0 12 12" aria-hidden="true">{shape}</svg>'


def test_a_slug_is_no_markup(app: Flask) -> None:
    mark = app.jinja_env.get_template("macros.html").module.mark('"><b>')  # type: ignore[attr-defined]
    assert "<b>" not in str(mark)
