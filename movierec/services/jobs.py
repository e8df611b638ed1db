"""The queue as the house uses it: it carries run ids and nothing else, and the row in the database is the truth."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import Queue, Worker
from rq.command import send_stop_job_command
from rq.exceptions import DeserializationError, InvalidJobOperation, NoSuchJobError
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from movierec.extensions import QUEUE, queue, redis
from movierec.services.errors import Unavailable

log = logging.getLogger(__name__)

# The only functions that the worker runs, by the letter before the number in a job's name: "41" trains run 41, "m7"
# does measurement 7.
TRAIN = "movierec.worker.train"
MEASURE = "movierec.worker.measure"
ACTS = {"": TRAIN, "m": MEASURE}
NAME = re.compile(r"(m?)([0-9]{1,19})")
SILENT_AFTER = timedelta(seconds=12)  # workers give a sign of life every three seconds, also while they train
STARTS_WITHIN = timedelta(seconds=20)  # from the worker taking a job to the run's first sign of life
KEEP = 60  # seconds that Redis remembers an ended job
LARGEST = 64 * 1024  # bytes of a job in Redis; ours have about one thousand


@dataclass(frozen=True)
class QueueState:
    """What the laboratory says about the queue. `error` is empty where Redis answers."""

    error: str
    waiting: int = 0
    workers: int = 0
    busy: int = 0
    milliseconds: float = 0.0
    last_beat: float | None = None  # seconds since the latest sign of life of a worker, alive or not; None: never seen


class Garbage(Exception):
    """Redis holds something under a job's name that is no job."""


class Inbox(Queue):
    """The queue as a worker takes from it: what is not exactly a job of ours is dropped and never ends the worker."""

    @classmethod
    def lmove(cls, connection: Redis, queue_key: str, timeout: int | None) -> Any:
        """The key and the id of the next job of ours, kept aside until it runs; None where none waits."""
        return _first_of_ours(connection, lambda: super(Inbox, cls).lmove(connection, queue_key, timeout))

    @classmethod
    def lpop(cls, queue_keys: Sequence[str], timeout: int | None, connection: Redis | None = None) -> Any:
        """The same from a Redis older than 6.2, or from several queues."""
        given = connection or redis()
        return _first_of_ours(given, lambda: super(Inbox, cls).lpop(queue_keys, timeout, connection=given))


def ours(job: Job) -> bool:
    """Whether the job is exactly what `put` makes: our function, one id, nothing that runs or ends it besides."""
    name = NAME.fullmatch(job.id)
    if name is None:
        return False
    try:
        told = (job.func_name, job.instance, list(job.args), job.kwargs)
    except (DeserializationError, TypeError):
        return False
    hooks = (job._success_callback_name, job._failure_callback_name, job._stopped_callback_name)
    extras = [hook for hook in hooks if isinstance(hook, str)] + [job.webhooks, job.retries_left, job._dependency_ids]
    return told == (ACTS[name[1]], None, [int(name[2])], {}) and job.timeout == -1 and not any(extras)


def drop(connection: Redis, queue_key: str, job_id: str | bytes) -> None:
    """Take what is not ours out of Redis, without reading it."""
    connection.lrem(IntermediateQueue.get_intermediate_queue_key(queue_key), 1, job_id)  # type: ignore[arg-type]
    connection.unlink(_key(job_id))
    shown = job_id if isinstance(job_id, str) else ascii(job_id[:40])[1:].strip("'\"")
    log.error("job %s was not put there by movierec; dropped without running it", shown)


def _first_of_ours(connection: Redis, take: Callable[[], Any]) -> Any:
    while True:
        taken = take()
        if taken is None or _usable(connection, taken[1]):
            return taken
        drop(connection, taken[0] if isinstance(taken[0], str) else taken[0].decode(), taken[1])


def _usable(connection: Redis, job_id: bytes) -> bool:
    """Whether the job of that id can be read and is ours; one that is gone is RQ's to pass over.

    Raises only where Redis went away: everything else is what somebody wrote there.
    """
    if NAME.fullmatch(job_id.decode("ascii", "replace")) is None:
        return False
    try:
        return (connection.memory_usage(_key(job_id), samples=0) or 0) <= LARGEST and ours(
            _read(connection, job_id.decode())
        )
    except NoSuchJobError:
        return not connection.exists(_key(job_id))
    except Garbage:
        return False


def _read(client: Redis, job_id: str) -> Job:
    """The job. Raises NoSuchJobError, RedisError where Redis went away, or Garbage for what somebody wrote there."""
    try:
        return Job.fetch(job_id, connection=client, serializer=JSONSerializer)
    except (NoSuchJobError, RedisConnectionError, RedisTimeoutError):
        raise
    except Exception as error:  # a date, a number, a text or a type that is none
        raise Garbage(str(error)) from error


def _key(job_id: str | bytes) -> bytes:
    return Job.redis_job_namespace_prefix.encode() + (job_id.encode() if isinstance(job_id, str) else job_id)


def put(number: int, kind: str = "") -> None:
    """Enqueue a run, under its own number, or with kind "m" a measurement. Raises Unavailable where Redis is away."""
    act = ACTS[kind]
    try:
        queue().enqueue_call(
            act,
            args=(number,),
            job_id=f"{kind}{number}",
            timeout=-1,
            result_ttl=KEEP,
            failure_ttl=KEEP,
            description=act,
        )
    except RedisError as error:
        raise Unavailable("The queue can't be reached right now. Try again when Redis is back.") from error


def stop(run_id: int) -> None:
    """End the process that trains this run, or take the run out of the queue. Nothing to stop is fine.

    Only speeds things up: what ends a run is its row, which the training itself watches.
    """
    try:
        client = redis()
        job = _read(client, str(run_id))
        if job.get_status() == JobStatus.QUEUED:
            job.delete()
        else:
            send_stop_job_command(client, job.id, serializer=JSONSerializer)
    except (NoSuchJobError, InvalidJobOperation):
        log.debug("run %s has no job to stop", run_id)
    except Garbage as error:
        log.warning("the job of run %s can't be read (%s); the run stops at its next step", run_id, error)
    except RedisError as error:
        log.warning("run %s could not be stopped through Redis (%s); it stops at its next step", run_id, error)


def missing(number: int, kind: str = "") -> str:
    """Why a job that waits will never be taken: "gone", "died", or "" where all is well. Raises RedisError."""
    client = redis()
    waiting, name = queue(client), f"{kind}{number}"
    if waiting.get_job_position(name) is not None:
        return ""
    try:
        job = _read(client, name)
    except NoSuchJobError:
        return "gone"
    except Garbage:  # somebody wrote over it
        client.unlink(_key(name))
        return "gone"
    status = job.get_status(refresh=False)
    if status == JobStatus.QUEUED:  # a worker is taking it just now; where it died doing so, RQ says failed in a minute
        return ""
    if status == JobStatus.STARTED:
        seen = job.last_heartbeat or job.enqueued_at
        return "" if seen is None or datetime.now(UTC) - seen < STARTS_WITHIN else "died"
    return "died"


def state() -> QueueState:
    """Whether Redis answers, how many runs wait and how many workers there are. Raises nothing."""
    try:
        client = redis()
        start = datetime.now(UTC)
        client.ping()
        took = (datetime.now(UTC) - start).total_seconds() * 1000
        beats = _beats(client)
        alive = [worker for worker, beat in beats if start - beat < SILENT_AFTER]
        busy = sum(worker.get_state() == "busy" for worker in alive)
        last = max(0.0, min(((start - beat).total_seconds() for _, beat in beats), default=0.0)) if beats else None
        return QueueState("", queue(client).count, len(alive), busy, took, last)
    except (RedisError, ValueError) as error:  # a ValueError is what somebody wrote where a worker's facts belong
        return QueueState(str(error) or type(error).__name__)


def _beats(client: Redis) -> list[tuple[BaseWorker, datetime]]:
    """Workers of our queue that Redis knows, with the last sign of life of each."""
    found = Worker.all(connection=client, serializer=JSONSerializer)
    return [(w, w.last_heartbeat) for w in found if QUEUE in w.queue_names() and w.last_heartbeat]
