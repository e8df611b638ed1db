"""Where the key comes from, and that it gets into no log, page, database, exception or traceback (L8)."""

from __future__ import annotations

import http.client
import logging
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from llm_kit import ask, given, kind
from llm_stub import CANARY, CERTIFICATE, Stub, drips, echoes, floods, replies, resets, running, says

from movierec import config
from movierec.extensions import db
from movierec.services import llm
from movierec.services.llm import access, client, redaction
from movierec.services.llm.answers import NoAnswer

GOOD = {"LLM_MODEL": "tiny", "LLM_API_KEY": "sk-" + "a" * 20}


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running() as server:
        yield server


def read(app: Flask) -> access.Access:
    return access.read(app.config)


def problem(app: Flask) -> str:
    with app.app_context():
        return llm.available()


def test_where_the_key_comes_from(make_app: Callable[..., Flask]) -> None:
    app = make_app(LLM_MODEL="tiny")
    assert "LLM_API_KEY or OPENROUTER_API_KEY" in problem(app)
    file = app.config["INSTANCE_DIR"] / "llm_key"
    file.write_text("sk-from-the-file\n")
    file.chmod(0o600)
    assert read(app).key == "sk-from-the-file"
    app.config["OPENROUTER_API_KEY"] = "sk-of-openrouter"
    assert read(app).key == "sk-of-openrouter"
    app.config["LLM_API_KEY"] = "sk-the-first"
    assert read(app).key == "sk-the-first"
    assert read(app).place.host == "openrouter.ai"
    assert problem(app) == ""


def test_openrouters_key_goes_to_openrouter_only(make_app: Callable[..., Flask], stub: Stub) -> None:
    app = make_app(**given(stub, LLM_API_KEY="", OPENROUTER_API_KEY=CANARY))
    with app.app_context():
        assert kind() == "ok"
    assert "authorization" not in stub.calls[0].headers
    app.config |= {"LLM_BASE_URL": "https://llm.example.org/v1", "LLM_ALLOW_LOCAL": ""}
    assert "no key" in problem(app)


def test_a_local_server_needs_no_key(make_app: Callable[..., Flask]) -> None:
    app = make_app(LLM_BASE_URL="http://127.0.0.1:11434/v1", LLM_MODEL="llama3.2", LLM_ALLOW_LOCAL="1")
    assert problem(app) == ""
    assert read(app).key == ""


def test_model_of_either_name(make_app: Callable[..., Flask]) -> None:
    app = make_app(LLM_API_KEY=GOOD["LLM_API_KEY"])
    assert "LLM_MODEL" in problem(app)
    app.config["MODEL"] = "a/b"
    assert read(app).model == "a/b"
    app.config["LLM_MODEL"] = "c/" + "d" * 200
    assert read(app).model == "c/" + "d" * 98


@pytest.mark.parametrize("key", ["short", "sk-with space", "sk-line\nX-Evil: 1", "sk-ünicode-key", "sk-nul\0-in-it"])
def test_a_key_that_can_not_be_one_is_refused_unseen(make_app: Callable[..., Flask], key: str) -> None:
    app = make_app(LLM_MODEL="tiny", LLM_API_KEY=key)
    assert "holds no usable key" in problem(app)
    assert key not in problem(app)


def test_a_file_that_others_can_read_or_nobody_can_is_refused(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(LLM_MODEL="tiny")
    file = app.config["INSTANCE_DIR"] / "llm_key"
    file.write_text(CANARY)
    file.chmod(0o640)
    assert "chmod 600" in problem(app)
    file.chmod(0o600)
    file.write_bytes(b"\xff\xfe")
    assert "can't be read" in problem(app)

    def refuse(path: Path, *_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)  # as somebody who is not root meets it
    assert "mend its owner" in problem(app)


def test_nothing_that_is_printed_shows_the_key(make_app: Callable[..., Flask]) -> None:
    app = make_app(LLM_MODEL="tiny", LLM_API_KEY=CANARY, OPENROUTER_API_KEY=CANARY + "2")
    assert CANARY not in repr(app.config)
    assert CANARY not in repr(read(app))
    assert read(app).key == CANARY
    assert (repr(config.Secret("")), str(config.Secret("x"))) == ("''", "x")


def told(error: BaseException) -> str:
    """A traceback as the most talkative tools write it: with every local variable of every frame."""
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


EVERY_WAY = {
    "ok": says("fine"),
    "echo": echoes(),
    "echo in an error": replies(401, {"error": {"message": f"Incorrect API key provided: {CANARY}"}}),
    "echo in an error of 200": replies(200, {"error": {"code": 500, "message": CANARY}}),
    "echo in a redirect": replies(302, location=f"http://127.0.0.1:1/?key={CANARY}"),
    "echo in a status": lambda line, *_: line.sendall(f"HTTP/1.1 {CANARY}\r\n\r\n".encode()),
    "echo in a header": lambda line, *_: line.sendall(f"HTTP/1.1 200 OK\r\n{CANARY}\r\n\r\n".encode()),
    "echo in a length": replies(200, b"{}", transfer_encoding=CANARY),
    "echo in an encoding": replies(200, b"{}", content_encoding=CANARY),
    "reset": resets(),
    "drip": drips(b"HTTP/1.1 200 OK\r\n\r\n"),
    "flood": floods(),
}


def test_a_canary_key_is_found_nowhere(
    make_app: Callable[..., Flask],
    stub: Stub,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """At DEBUG, with http.client's own printing on, each way to fail; then every byte that is left is searched."""
    monkeypatch.setattr(client, "CLOCK", client.Clock(sleep=lambda _: None))
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    app = make_app(**given(stub, LOG_LEVEL="DEBUG"))
    log = logging.FileHandler(tmp_path / "site.log")
    logging.getLogger("movierec").addHandler(log)
    texts, found = [], {}
    with app.app_context(), caplog.at_level(logging.DEBUG):
        for name, act in EVERY_WAY.items():
            stub.play(act)
            monkeypatch.setattr(client, "TOTAL", 0.3 if name == "drip" else 20.0)
            with db.engine.begin() as connection:
                connection.exec_driver_sql("DELETE FROM llm_breaker")
            try:
                answer = ask(key=name)
                texts.append(repr(answer))
                found[name] = answer.text
            except NoAnswer as no:
                found[name] = no.kind
                texts += [told(no), repr(no), repr(no.__context__), repr(no.__cause__)]
        texts += [repr(llm.status()), repr(llm.usage(1)), llm.available()]
    log.close()
    logging.getLogger("movierec").removeHandler(log)
    assert len(stub.calls) >= len(EVERY_WAY)
    assert all(asked.headers["authorization"].endswith(CANARY) for asked in stub.calls), "it was sent each time"
    assert found["ok"] == "fine"
    assert found["echo"] == f"you sent Bearer {redaction.HIDDEN}"
    assert set(found.values()) >= {"failed", "refused", "slow", "garbage"}
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}, "its debug lines were on"
    texts += [caplog.text, *capfd.readouterr()]
    texts += [repr(record.__dict__) for record in caplog.records]
    assert [text for text in texts if CANARY in text] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"site.log", "movierec.sqlite3"} <= {path.name for path in files}
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []


def test_tls_failures_do_not_show_it_either(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(CERTIFICATE))
    with running(tls=True) as stub, make_app(**given(stub)).app_context(), caplog.at_level(logging.DEBUG):
        with pytest.raises(NoAnswer) as caught:  # the certificate is for another name
            ask()
        assert caught.value.kind == "unreachable"
        assert CANARY not in caplog.text + told(caught.value)
        assert stub.calls == []


def test_whatever_others_log_of_it_is_cleaned_too(caplog: pytest.LogCaptureFixture) -> None:
    """A second wall: should it ever get into a message, an argument or a traceback."""
    redaction.guard("")
    redaction.guard(CANARY)
    elsewhere = logging.getLogger("somebody.else")
    with caplog.at_level(logging.DEBUG):
        elsewhere.info("key=%s and %d", CANARY, 5)
        elsewhere.info("%s of %s", "nothing", "interest")
        elsewhere.info({"key": CANARY})
        broken = logging.LogRecord("x", logging.INFO, "x", 1, "%d", ("no number",), None)
        assert redaction.redacting.filter(broken), "it is the writer's to complain"
        try:
            raise ValueError(f"bad header Bearer {CANARY}")
        except ValueError:
            elsewhere.exception("it broke")
        try:
            raise ValueError("harmless")
        except ValueError:
            elsewhere.exception("it broke too")
    assert CANARY not in caplog.text
    assert f"key={redaction.HIDDEN} and 5" in caplog.text
    assert "nothing of interest" in caplog.text
    assert f"ValueError: bad header Bearer {redaction.HIDDEN}" in caplog.text
    assert "ValueError: harmless" in caplog.text


def test_only_who_asks_pays_for_requests() -> None:
    """The pages import the door; what it needs to send comes with the first question."""
    code = "import sys, movierec.services.llm; print('requests' in sys.modules, 'urllib3' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
