"""What a process keeps between requests: slates made before, and the threads that engines answer in, in time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock, Semaphore
from time import monotonic

from flask import current_app

from movierec.dataset import History
from movierec.engines.base import Engine, Pick, Reason, ScoringEngine
from movierec.engines.language.world import Ask, Talked, TalkingEngine
from movierec.services.slates import Slate

PATIENCE = 2.0  # seconds for an engine's answer
AT_ONCE = 4  # engines asked at once in a process; more would only wait
SLOW_AT_ONCE = 2  # of those that ask a language model: two of a process's four threads stay free for others
KEPT = 500  # slates kept in a process
KEPT_FOR = 600.0  # seconds


@dataclass(frozen=True)
class Said:
    """What an engine said for one history."""

    picks: list[Pick]
    personal: bool  # its reason rests on this history: it would tell a stranger another one
    reasons: list[Reason]  # one a pick, or none at all
    talked: Talked | None = None  # where a language model was asked


class Desk:
    """One a process and app."""

    def __init__(self) -> None:
        self.slates: OrderedDict[Hashable, tuple[float, Slate]] = OrderedDict()
        self.lock = Lock()
        self.free, self.slow = Semaphore(AT_ONCE), Semaphore(SLOW_AT_ONCE)
        self.threads = ThreadPoolExecutor(AT_ONCE + SLOW_AT_ONCE, thread_name_prefix="engine")

    def kept(self, key: Hashable) -> Slate | None:
        """The slate kept under that key, unless it is too old."""
        with self.lock:
            until, slate = self.slates.get(key, (0.0, None))
            if slate is None or until < monotonic():
                return None
            self.slates.move_to_end(key)
            return slate

    def keep(self, key: Hashable, slate: Slate, seconds: float | None = None) -> None:
        """Keep it for so long; the one not asked for the longest goes when there are too many."""
        with self.lock:
            self.slates[key] = (monotonic() + (KEPT_FOR if seconds is None else seconds), slate)
            while len(self.slates) > KEPT:
                self.slates.popitem(last=False)


def desk() -> Desk:
    """This app's desk in this process."""
    held: Desk | None = current_app.extensions.get("movierec_desk")
    return held if held is not None else current_app.extensions.setdefault("movierec_desk", Desk())


def ask(engine: Engine, history: History, k: int, about: Ask | None = None) -> Said:
    """The engine's picks with their reasons; `about` asks one that talks to a language model to do so.

    Reasons that come too late or fail are none. Raises TimeoutError when the picks take too long or too many are
    still at it, and whatever the engine raises.
    """
    here, slow = desk(), about is not None and isinstance(engine, TalkingEngine)
    gate = here.slow if slow else here.free
    patience = engine.patience if slow and isinstance(engine, TalkingEngine) else PATIENCE
    if not gate.acquire(blocking=False):
        raise TimeoutError
    until = monotonic() + patience
    listed: Future[Said] = Future()
    explained: Future[list[Reason]] = Future()

    def work() -> None:
        try:
            said = _listed(engine, history, k, about if slow else None)
            listed.set_result(said)
            explained.set_result(engine.explain(history, [pick.item for pick in said.picks]))
        except BaseException as error:
            (explained if listed.done() else listed).set_exception(error)
        finally:
            gate.release()

    here.threads.submit(work)
    said = listed.result(timeout=patience)
    try:
        reasons = explained.result(timeout=max(0.0, until - monotonic()))
        if len(reasons) != len(said.picks):
            raise ValueError(f"{len(reasons)} reasons for {len(said.picks)} films")
    except Exception as error:  # a list without reasons is still the list
        current_app.logger.warning("an engine gave no reasons: %s: %s", type(error).__name__, error)
        reasons = []
    return Said(said.picks, said.personal, reasons, said.talked)


def _listed(engine: Engine, history: History, k: int, about: Ask | None) -> Said:
    if isinstance(engine, TalkingEngine):
        if about is None:
            return Said(engine.quick(history, k), bool(history.items.size), [])
        talked = engine.talk(history, k, about)
        return Said(talked.picks, bool(history.items.size), [], talked)
    picks = engine.recommend([history], k)[0]
    personal = isinstance(engine, ScoringEngine) and engine.why(history) != engine.why(History.of([]))
    return Said(picks, personal, [])
