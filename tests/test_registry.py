"""The registry: discovery by folder, absent engines with their reason, unknown and doubled names refused aloud."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from movierec.engines import registry
from movierec.engines.base import Engine, EngineError
from movierec.services import knobs

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Registrations that vanish after the test."""
    registry.listings()
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    return


def test_every_file_of_the_folder_is_found() -> None:
    files = {path.stem for path in (ROOT / "movierec/engines").glob("*.py")} - {"__init__", "base", "registry"}
    assert files <= {listing.engine.__module__.rsplit(".", 1)[1] for listing in registry.listings()}


def test_listings_are_in_order_and_complete() -> None:
    slugs = [listing.slug for listing in registry.listings()]
    assert slugs == sorted(set(slugs))
    assert {"popularity", "nextitnet"} <= set(slugs)


def test_get_gives_the_class() -> None:
    assert registry.get("popularity").slug == "popularity"


def test_an_unknown_engine_is_an_error_that_names_the_known() -> None:
    with pytest.raises(registry.UnknownEngine, match="popularity"):
        registry.get("no-such-engine")
    assert issubclass(registry.UnknownEngine, EngineError)


@pytest.mark.usefixtures("scratch")
def test_an_engine_whose_library_is_missing_is_listed_with_the_reason() -> None:
    @registry.register("far-off", title="Far off", summary="Needs what is not here.", needs=("no_such_library",))
    class FarOff(Engine):
        """Never made."""

    (listing,) = [listing for listing in registry.listings() if listing.slug == "far-off"]
    assert listing.absent == "no_such_library not installed: pip install no_such_library"
    assert registry.get("far-off") is FarOff


GOOD = """
from movierec.engines import registry
from movierec.engines.popularity import Popularity

@registry.register("sound", title="Sound", summary="Stands beside the broken ones.")
class Sound(Popularity):
    pass
"""


@pytest.fixture
def engine_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scratch: None) -> Iterator[Path]:
    """A folder whose files belong to the engines' own; found anew in this test only."""
    monkeypatch.setattr(registry.folder, "__path__", [*registry.folder.__path__, str(tmp_path)])
    monkeypatch.setattr(registry, "_broken", {})
    registry._discover.cache_clear()
    yield tmp_path
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(f"movierec.engines.{file.stem}", None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("def half(:", "SyntaxError: invalid syntax"),
        (GOOD.replace("sound", "unsound") + "1 / 0", "ZeroDivisionError: division by zero"),
        (GOOD.replace("sound", "popularity"), "ValueError: two engines are called 'popularity'"),
    ],
)
def test_a_broken_file_takes_only_its_own_engine_down(
    engine_files: Path, text: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    (engine_files / "zz_broken.py").write_text(text)
    (engine_files / "zz_sound.py").write_text(GOOD)
    listed = {listing.slug: listing for listing in registry.listings()}
    assert {"popularity", "nextitnet", "sound", "zz_broken"} <= set(listed)
    assert "unsound" not in listed
    assert listed["sound"].absent == listed["popularity"].absent == ""
    broken = listed["zz_broken"]
    assert broken.absent.startswith(f"its file can't be used: {reason}")
    assert (broken.engine.slug, broken.engine.title) == ("zz_broken", "zz_broken")
    assert [knob.name for knob in knobs.knobs(broken.engine, None)] == ["seed"]
    with pytest.raises(registry.UnknownEngine, match=re.escape(reason)):
        registry.get("zz_broken")
    assert "the engine file zz_broken can't be used" in caplog.text


@pytest.mark.usefixtures("scratch")
def test_two_engines_of_one_name_are_refused() -> None:
    twin = type("Twin", (Engine,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="two engines"):
        registry.register("popularity", title="Twin", summary="A second one.")(twin)


def test_listing_engines_is_light() -> None:
    """The web master, `flask db upgrade` and each CLI command list engines: they must not pay for torch."""
    code = (
        "import sys; from movierec.engines import registry; registry.listings(); "
        "print(sorted({'torch', 'onnx', 'onnxruntime', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
