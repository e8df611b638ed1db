"""The queue as the house uses it: it carries run ids and nothing else, and the row in the database is the truth."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from movierec.extensions import QUEUE, queue, redis
from movierec.services.errors import Unavailable

log = logging.getLogger(__name__)

TRAIN = "movierec.worker.train"  # the only function that the worker runs
STARTS_WITHIN = timedelta(seconds=20)  # from the worker taking a job to the run's first sign of life
KEEP = 60  # seconds that Redis remembers an ended job


@dataclass(frozen=True)
class QueueState:
    """What the laboratory says about the queue. `error` is empty where Redis answers."""

    error: str
    waiting: int = 0
    workers: int = 0
    busy: int = 0
    milliseconds: float = 0.0


def put(run_id: int) -> None:
    """Enqueue a run, under its own number. Raises Unavailable where Redis does not take it."""
    try:
        queue().enqueue_call(
            TRAIN, args=(run_id,), job_id=str(run_id), timeout=-1, result_ttl=KEEP, failure_ttl=KEEP, description=TRAIN
        )
    except RedisError as error:
        raise Unavailable("The queue can't be reached right now. Try again when Redis is back.") from error


def stop(run_id: int) -> None:
    """End the process that trains this run, or take the run out of the queue. Nothing to stop is fine.

    Only speeds things up: what ends a run is its row, which the training itself watches.
    """
    try:
        client = redis()
        job = Job.fetch(str(run_id), connection=client, serializer=JSONSerializer)
        if job.get_status() == JobStatus.QUEUED:
            job.delete()
        else:
            send_stop_job_command(client, job.id, serializer=JSONSerializer)
    except (NoSuchJobError, InvalidJobOperation):
        log.debug("run %s has no job to stop", run_id)
    except RedisError as error:
        log.warning("run %s could not be stopped through Redis (%s); it stops at its next step", run_id, error)


def missing(run_id: int) -> str:
    """Why a run that waits will never be taken: "gone", "died", or "" where all is well. Raises RedisError."""
    client = redis()
    waiting = queue(client)
    if waiting.get_job_position(str(run_id)) is not None:
        return ""
    try:
        job = Job.fetch(str(run_id), connection=client, serializer=JSONSerializer)
    except NoSuchJobError:
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
        workers = _workers(client)
        busy = sum(worker.get_state() == "busy" for worker in workers)
        return QueueState("", queue(client).count, len(workers), busy, took)
    except RedisError as error:
        return QueueState(str(error) or type(error).__name__)


def _workers(client: Redis) -> list[BaseWorker]:
    """Workers of our queue that gave a sign of life within half a minute."""
    found = Worker.all(connection=client, serializer=JSONSerializer)
    recent = datetime.now(UTC) - timedelta(seconds=30)
    return [w for w in found if QUEUE in w.queue_names() and w.last_heartbeat and w.last_heartbeat > recent]
