"""One test viewer of a comparison: the history, the film held out, and each run's list, or why there is none."""

from __future__ import annotations

import re

import numpy as np
import pytest
from flask import Flask
from kit import Browser
from sqlalchemy import update
from test_comparing import change, trained
from training_kit import row_of

from movierec.evaluation import protocol as protocols
from movierec.extensions import writing
from movierec.services import case, comparison, runs, side_by_side, snapshots
from movierec.services.errors import NotFound, Refused, Unavailable
from movierec.tables import Run


def shown(*run_ids: int) -> side_by_side.Shown:
    return side_by_side.show(side_by_side.Asked(run_ids))


def test_a_viewer_has_a_history_a_film_held_out_and_a_list_of_each_run(trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    with trainable.app_context():
        found = case.case(shown(first, second), 3)
        run = runs.get(first)
        snapshot = runs.snapshot_of(run)
        assert snapshot is not None
        data = snapshots.dataset(snapshot, 0)
        holdout = protocols.split(data)
        card = comparison.card(runs.get(first), protocols.get(protocols.DEFAULT))
        row = int(np.unique(holdout.test.viewers)[2])
        assert (found.number, found.viewers) == (3, np.unique(holdout.test.viewers).size)
        assert found.events == len(holdout.test_history.history(row))
        assert len(found.wanted) == 1
        assert [each.run.id for each in found.lists] == [first, second]
        base = card.bases[card.viewer_ids[card.owners] == data.viewer_ids[row]][0]
        assert found.lists[0].place == int(np.ceil(base)) + 1
        hits = [place for place, film in enumerate(found.lists[0].films, 1) if film.hit]
        assert hits == ([found.lists[0].place] if found.lists[0].place <= case.LENGTH and base == int(base) else hits)


def test_the_page_and_the_part_of_it(sam: Browser, trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    url = f"/lab/compare/case?runs={first},{second}"
    page = sam.get(url)
    assert page.status_code == 200
    assert "<h1" in page.text
    assert sam.fragment(f"{url}&viewer=2").text.strip().startswith('<section class="sec" id="case"')
    number = re.search(r'name="viewer"[^>]* value="(\d+)"', page.text)
    assert number is not None
    for wrong, status in (("x", 422), ("0", 404), ("4711", 404)):
        assert sam.get(f"{url}&viewer={wrong}").status_code == status
    assert "Show where they differ most" in sam.get(f"/lab/compare?runs={first},{second}").text


def test_what_cannot_be_shown_says_why(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = trained(trainable), trained(trainable)
    with trainable.app_context():
        with pytest.raises(Refused, match="no run"):
            case.case(shown(4711))
        with pytest.raises(NotFound, match="test viewers 1 to"):
            case.case(shown(first, second), 4711)
        with case._at_work, pytest.raises(Unavailable):
            case.case(shown(first, second))
        monkeypatch.setattr(case, "LARGEST", 10)
        with pytest.raises(Refused, match="too many"):
            case.case(shown(first, second))
        monkeypatch.undo()
        with writing() as session:
            session.execute(update(Run).values(dataset_sha256="0" * 64))
        with pytest.raises(Refused, match="has changed since"):
            case.case(shown(first, second))
    change(trainable, first, artifact=None, state="failed")
    with trainable.app_context(), pytest.raises(Refused, match="has no list"):
        case.case(shown(first))


def test_a_run_that_fails_leaves_the_others_standing(trainable: Flask) -> None:
    first, second = trained(trainable), trained(trainable)
    with trainable.app_context():
        comparison.compare([first, second])  # the cards are known by now
    folder = trainable.config["MODELS_DIR"] / "quick" / row_of(trainable, second).artifact
    (folder / "state.npz").write_bytes(b"broken")
    with trainable.app_context():
        found = case.case(shown(first, second), 1)
        assert found.lists[0].films
        assert "can't be used" in found.lists[1].trouble


def test_an_engine_that_raises_is_said_to_have_failed(trainable: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    from engines_for_tests import Quick

    run_id = trained(trainable)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Quick, "explain", fail)
    with trainable.app_context():
        assert case.case(shown(run_id), 1).lists[0].trouble == "It ran into a fault for this history."
