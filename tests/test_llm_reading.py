"""Replies that are no answer: garbage, half an answer, errors in good clothes, nonsense numbers (L3, L5)."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from llm_stub import chat

from movierec.services.llm import reading
from movierec.services.llm.access import Access
from movierec.services.llm.address import check
from movierec.services.llm.answers import Answer, Lost, Reply
from movierec.services.llm.reading import Trouble

ACCESS = Access(check("https://llm.example.org/v1", allow_local=False), "tiny", "sk-12345678", 1e-6, 2e-6)
RESERVED = (500, 1500)


def read(body: Any, status: int = 200) -> Answer | Trouble:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return reading.read(Reply(status, content, None), ACCESS, RESERVED, 12.5)


def answer(body: Any) -> Answer:
    found = read(body)
    assert isinstance(found, Answer), found
    return found


def test_a_good_one() -> None:
    cost = 11 * 1e-6 + 7 * 2e-6
    assert answer(chat("hi")) == Answer("hi", "stub-1", 11, 7, cost, 12.5)


NO_ANSWER = {
    "empty": b"", "not JSON": b"<html>502 Bad Gateway</html>", "half": b'{"choices": [{"message": {"content": "{',
    "null": b"null", "a list": b"[]", "a number": b"17", "a text": b'"hello"', "nothing in it": b"{}",
    "UTF-16": '{"choices": 1}'.encode("utf-16"), "binary": bytes(range(256)), "nested": b"[" * 60_000,
    "nested objects": b'{"a":' * 10_000, "a number of 5,000 digits": b'{"choices": ' + b"9" * 5000 + b"}",
    "no choices": {"choices": []}, "choices of a kind": {"choices": {"0": "x"}}, "choices of texts": {"choices": ["x"]},
    "no message": {"choices": [{}]}, "message of a kind": {"choices": [{"message": "x"}]},
    "no content": {"choices": [{"message": {}}]}, "content null": chat(None), "content a number": chat(5),
    "content an object": chat({"picks": []}), "content empty": chat(""), "content blank": chat(" \n\t"),
    "parts without text": chat([{"type": "image"}, "x", 3, {"text": 5}]),
}  # fmt: skip


@pytest.mark.parametrize("body", NO_ANSWER.values(), ids=list(NO_ANSWER))
def test_what_is_no_answer_is_garbage(body: Any) -> None:
    found = read(body)
    assert isinstance(found, Trouble)
    assert (found.no.kind, found.again, found.alive, found.billed) == ("garbage", False, False, True)


def test_three_hundred_mutations_never_raise() -> None:
    dice = random.Random(3)
    good = json.dumps(chat('{"picks": [{"id": 1, "reason": "a"}]}', usage={"prompt_tokens": 3, "cost": 0.1})).encode()
    kinds: Counter[str] = Counter()
    for _ in range(300):
        body = bytearray(good)
        for _ in range(dice.randint(1, 6)):
            where = dice.randrange(len(body))
            body[where : where + dice.randint(0, 5)] = dice.randbytes(dice.randint(0, 5))
        found = read(bytes(body))
        kinds["ok" if isinstance(found, Answer) else found.no.kind] += 1
    assert kinds["ok"] + kinds["garbage"] + kinds["failed"] == 300
    assert kinds["garbage"] > 50


@pytest.mark.parametrize(
    ("body", "kind", "again", "alive"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, "limited", True, False),
        ({"error": {"code": 400}}, "refused", False, True), ({"error": {"code": 502}}, "failed", True, False),
        ({"error": "broken"}, "failed", True, False), ({"error": {"code": "x"}}, "failed", True, False),
        ({"error": {"code": 200}}, "failed", True, False), ({"error": {"code": 10**9}}, "failed", True, False),
        (chat("hi", error={"code": 403}), "refused", False, True),
        ({"choices": [{"error": {"code": 502}, "message": {"content": "hal"}}]}, "failed", True, False),
    ],
)  # fmt: skip
def test_an_error_in_the_body_of_a_200(body: Any, kind: str, again: bool, alive: bool) -> None:
    found = read(body)
    assert isinstance(found, Trouble)
    assert (found.no.kind, found.again, found.alive, found.billed) == (kind, again, alive, True)


def test_no_error_is_no_error() -> None:
    assert answer(chat("hi", error=None)).text == "hi"


@pytest.mark.parametrize(
    ("status", "kind", "again", "alive"),
    [
        (400, "refused", False, True), (401, "refused", False, False), (402, "refused", False, False),
        (403, "refused", False, True), (404, "refused", False, False), (408, "failed", True, False),
        (413, "refused", False, True), (422, "refused", False, True), (429, "limited", True, False),
        (500, "failed", True, False), (501, "failed", False, False), (503, "failed", True, False),
        (204, "failed", False, False), (301, "failed", False, False), (999, "failed", False, False),
    ],
)  # fmt: skip
def test_statuses(status: int, kind: str, again: bool, alive: bool) -> None:
    found = read(b"whatever", status)
    assert isinstance(found, Trouble)
    assert (found.no.kind, found.again, found.alive, found.billed) == (kind, again, alive, False)
    assert found.no.status == status


@pytest.mark.parametrize(
    ("kind", "sent", "again"),
    [("slow", True, False), ("slow", False, False), ("unreachable", False, True), ("failed", True, True),
     ("garbage", True, False)],
)  # fmt: skip
def test_no_reply_at_all(kind: Any, sent: bool, again: bool) -> None:
    found = reading.read(Lost(kind, sent, "x"), ACCESS, RESERVED, 1.0)
    assert isinstance(found, Trouble)
    assert (found.no.kind, found.sent, found.billed, found.again) == (kind, sent, sent, again)


NONSENSE: list[Any] = [-1, 1.5, "12", True, None, [], {}, 10**8, float("nan"), float("inf"), -float("inf")]


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
def test_nonsense_in_the_bill_is_not_believed(value: Any) -> None:
    found = answer(chat("hi", usage={"prompt_tokens": value, "completion_tokens": value, "cost": value}))
    assert (found.prompt_tokens, found.completion_tokens) == RESERVED
    assert found.cost == (1.5 if value == 1.5 else 500 * 1e-6 + 1500 * 2e-6)
    assert answer(chat("hi", usage=value)).completion_tokens == 1500


def test_a_bill_is_taken_as_it_is() -> None:
    assert answer(chat("hi", usage={"prompt_tokens": 0, "completion_tokens": 9, "cost": 0})).cost == 0.0
    assert answer(chat("hi", usage={"prompt_tokens": 3, "cost": 0.25})).completion_tokens == 1500


def test_text_in_parts_and_text_that_can_not_be_stored() -> None:
    assert answer(chat([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])).text == "ab"
    lone = b'{"choices": [{"message": {"content": "a\\ud800b"}}], "model": "m\\udfff"}'
    assert (answer(lone).text, answer(lone).model) == ("a?b", "m?")
    odd = answer(chat("a\x1b[31mb\0\tc\n\x9bd", model="\x1b]0;x\x07m"))
    assert (odd.text, odd.model) == ("a[31mb\tc\nd", "]0;xm"), "flask llm prints it on a terminal"
    assert answer(b"\xef\xbb\xbf" + json.dumps(chat("with a mark")).encode()).text == "with a mark"


@pytest.mark.parametrize(
    ("model", "kept"),
    [("a/b", "a/b"), ("x" * 500, "x" * 100), (None, "tiny"), (7, "tiny"), ("", "tiny"), (" ", "tiny")],
)
def test_the_model_that_answered(model: Any, kept: str) -> None:
    assert answer(chat("hi", model=model)).model == kept
