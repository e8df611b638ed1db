"""The process that trains: an RQ worker that runs two functions, tends the runs, and never outlives its purpose.

`flask worker` starts it; so does `rq worker --worker-class movierec.worker.Worker --serializer json movierec`.
Each training runs in a forked work-horse, which dies with the worker. The worker itself never imports torch.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
import uuid
from typing import Any

import rq
from flask import has_app_context
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker_registration import REDIS_WORKER_KEYS
from sqlalchemy.exc import SQLAlchemyError

from movierec import create_app
from movierec.artifacts import ArtifactError
from movierec.engines.base import EngineError
from movierec.extensions import BadDatabase, db, queue, redis
from movierec.services import first_run, jobs, measuring, series, storage, sweeping, training_job
from movierec.services.attempt import end_from_outside
from movierec.services.errors import ServiceError
from movierec.tables import Run

log = logging.getLogger("movierec.worker")  # also where this module is started as __main__

PR_SET_PDEATHSIG = 1
ATTEMPT = "MOVIEREC_ATTEMPT_ID"  # how the worker knows which attempt its work-horse held
TEND_EVERY = 3  # seconds between two looks after the runs
TIDY_EVERY = 3600.0  # seconds between two looks for what is too old to keep
BEHIND_SERVING = 5  # niceness of a training: who asks for films comes first

STOPPED = "The worker was stopped while it trained. Start it again."


class RedisGone(Exception):
    """Redis went away or forgot this worker; only a new worker can begin afresh."""


def train(run_id: int) -> None:
    """What most jobs name. Its only argument is a run's id."""
    try:
        training_job.execute(run_id, os.environ.get(ATTEMPT))
    except (EngineError, ServiceError, ArtifactError):
        log.debug("run %s failed", run_id, exc_info=True)  # its row has the sentence; a defect goes on, with its place


def measure(measurement_id: int) -> None:
    """What a job of kind "m" names: judge a finished run under one more protocol."""
    measuring.execute(measurement_id)


class Worker(rq.Worker):
    """RQ's forking worker with the house's rules; whatever options it is given, these win."""

    def __init__(self, queues: Any, *args: Any, **kwargs: Any) -> None:
        kwargs |= {
            "serializer": JSONSerializer,
            "worker_ttl": 15 + TEND_EVERY,  # it blocks for 15 s less than this: the runs are tended in between
            "default_worker_ttl": None,
            "job_monitoring_interval": TEND_EVERY,
            "maintenance_interval": TEND_EVERY,
        }
        super().__init__(queues, *args, **kwargs)
        self.queue_class = jobs.Inbox
        for each in self.queues:
            each.serializer = JSONSerializer
        self.attempt_id = ""
        self.deaths: list[dict[str, Any]] = []  # of work-horses, not yet on their rows
        self.gave_up = False  # left because Redis went away
        self.stopping = False
        self._said = ""
        self._tidy_at = 0.0
        if not has_app_context():
            create_app().app_context().push()  # for as long as this process lives; work-horses inherit it

    # -- what it runs

    def execute_job(self, job: Job, queue: Any) -> None:
        """Train the run; drop whatever else somebody put into the queue."""
        if not jobs.ours(job):  # it was when it was taken: somebody writes to our Redis
            jobs.drop(self.connection, queue.key, job.id)
            return
        super().execute_job(job, queue)
        if job.id.isdecimal():
            self._say_how_it_ended(int(job.id))

    def _say_how_it_ended(self, run_id: int) -> None:
        """One line a job."""
        try:
            run = db.session.get(Run, run_id, populate_existing=True)
            if run is not None:
                log.info("%s #%d is %s%s", run.engine, run_id, run.state, f": {run.reason}" if run.reason else "")
        except SQLAlchemyError as error:
            log.warning("run %s has ended; how can't be read yet: %s", run_id, error)
        finally:
            db.session.remove()

    def fork_work_horse(self, job: Job, queue: Any) -> None:
        """No open database connection may cross a fork."""
        self.attempt_id = os.environ[ATTEMPT] = str(uuid.uuid4())
        db.session.remove()
        db.engine.dispose()
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Any) -> None:
        """The first thing of the work-horse's life: to end with its worker, whatever ends that."""
        assert self.pid is not None
        die_with_parent(self.pid)
        os.nice(BEHIND_SERVING)
        super().main_work_horse(job, queue)

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """Say on the row at once how the training came to its end."""
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)
        peak = rusage.ru_maxrss * 1024
        if not job.id.isdecimal():  # a measurement: `measuring.sweep` sees that its job has died
            return
        state, reason = ("lost", STOPPED) if self.stopping else ("failed", _how_it_died(ret_val, peak))
        told = {"run_id": int(job.id), "state": state, "reason": reason}
        self.deaths.append(told | {"attempt_id": self.attempt_id, "peak_memory": peak})
        self.tell_deaths()

    def tell_deaths(self) -> None:
        """Write down what is known of dead work-horses; what a busy database refuses is told at the next tending."""
        try:
            while self.deaths:
                end_from_outside(**self.deaths[0])
                del self.deaths[0]
        except SQLAlchemyError as error:
            log.warning("run %s has ended, which can't be written yet: %s", self.deaths[0]["run_id"], error)
        finally:
            db.session.remove()

    # -- how it lives and ends

    def heartbeat(self, timeout: int | None = None, pipeline: Any = None) -> None:
        """Give a sign of life. Raises RedisGone, which ends the worker, where Redis is away or came back empty."""
        if pipeline is not None:
            super().heartbeat(timeout, pipeline)
            return
        try:
            super().heartbeat(timeout)
            known = self.connection.sismember(REDIS_WORKER_KEYS, self.key)
        except (RedisConnectionError, RedisTimeoutError) as error:
            self.gave_up = True
            raise RedisGone(f"Redis does not answer: {error}") from error
        if not known:
            self.gave_up = True
            raise RedisGone("Redis has lost what it knew about this worker")

    def maintain_heartbeats(self, job: Job, execution: Any) -> None:
        """While a training runs: it goes on without Redis, for the row is the truth and needs no Redis."""
        try:
            super().maintain_heartbeats(job, execution)
        except RedisError as error:
            log.warning("Redis does not answer (%s); run %s goes on", error, job.id)
        self.tend()

    def run_maintenance_tasks(self) -> None:
        """Between trainings: RQ's own housekeeping, which garbage in Redis may spoil, then ours."""
        try:
            super().run_maintenance_tasks()
        except (RedisConnectionError, RedisTimeoutError):
            raise
        except Exception as error:
            self._say_once(f"Redis holds what RQ can't read ({error}); it stays there")
        self.tend()

    def tend(self) -> None:
        """Sweep up what was left behind; order the first run of a fresh site."""
        self.tell_deaths()
        try:
            for run_id in sweeping.sweep():
                log.warning("run %s was lost", run_id)
            measuring.sweep()
            if time.monotonic() >= self._tidy_at:
                self._tidy_at = time.monotonic() + TIDY_EVERY
                sweeping.tidy()
            first_run.request_if_fresh()
            series.advance()
        except (ServiceError, SQLAlchemyError) as error:
            self._say_once(str(error))
        finally:
            db.session.remove()

    def _say_once(self, sentence: str) -> None:
        """The same sentence every three seconds helps nobody."""
        if sentence != self._said:
            log.warning("%s", sentence)
        self._said = sentence

    def request_stop(self, signum: int, frame: Any) -> None:
        """SIGTERM or Ctrl-C: a running training is ended now and its row says so, instead of holding up the stop."""
        self.stopping = True
        super().request_stop(signum, frame)
        if self.horse_pid:
            self.kill_horse()


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process the moment its parent ends; leave at once where it has ended already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _how_it_died(status: int, peak: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"The training process ended unexpectedly (status {os.waitstatus_to_exitcode(status)})."
    number = os.WTERMSIG(status)
    guess = ": probably out of memory" if number == signal.SIGKILL else ""
    return f"killed (signal {number}){guess}. It held {peak / 1e6:.0f} MB at its fullest."


def main() -> int:
    """`python -m movierec.worker`: until a signal comes (0), or Redis goes away (1: start it again)."""
    os.umask(0o077)  # artefacts are this account's alone
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")  # first: Flask then adds no handler of its own
    app = create_app()
    level = app.config["LOG_LEVEL"]
    logging.getLogger().setLevel(level)
    quiet = {"INFO": "ERROR"}.get(level, level)  # what others say at INFO is about themselves
    logging.getLogger("alembic").setLevel(quiet)
    with app.app_context():
        try:
            storage.check(app)
            worker = Worker([queue(redis(patient=True))])
            worker.work(logging_level=quiet)
            worker.tell_deaths()
        except BadDatabase as error:
            sys.stderr.write(f"The worker can't start. {error}\n")
            return 1
        except RedisError as error:
            sys.stderr.write(f"The worker ends because Redis does not answer: {error}\n")
            return 1
    return 1 if worker.gave_up else 0


if __name__ == "__main__":
    sys.exit(main())
