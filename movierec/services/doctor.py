"""What is wrong with this installation and what to do: one check a line, nothing is changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import func, select

from movierec import artifacts, config
from movierec.artifacts import ArtifactError
from movierec.extensions import BadDatabase, db, redis
from movierec.services import accounts, jobs, llm, runs, serving, settings, snapshots, storage
from movierec.services.errors import Unavailable
from movierec.tables import Run, User, now

OK, WARN, FAIL = "ok", "warn", "fail"
LEAST_DISK, SOME_DISK = 200 * 2**20, 2 * 2**30  # bytes: below the first nothing works, a training may need the second
DAY = 86400.0


@dataclass(frozen=True)
class Check:
    """One thing looked at: `state` is ok, warn or fail; the message says what to do."""

    name: str
    state: str
    message: str


def examine(app: Flask) -> list[Check]:
    """Every check, in the order in which to mend things. Needs an app context; raises nothing of its own."""
    checks = [*_folders(app), _secret_key(app), _address(app), *_queue(app)]
    database = list(_database(app))
    checks += database
    if all(check.state == OK for check in database):
        checks += [_data(), _runs(), *_on_air(app), _language_model(), *_people(app)]
    return checks


def _folders(app: Flask) -> Iterator[Check]:
    for key in ("INSTANCE_DIR", "DATA_DIR", "MODELS_DIR"):
        folder = Path(app.config[key])
        name = f"{folder.name}/"
        if not folder.is_dir():
            yield Check(name, WARN, f"{folder} is not there yet: `flask seed` and trainings make it.")
        elif not os.access(folder, os.W_OK):
            yield Check(name, FAIL, f"{folder} can't be written: mend its owner or set {key}.")
        else:
            yield _room(name, folder)
    instance = Path(app.config["INSTANCE_DIR"])
    private = [instance, storage.path_of(app), *sorted(instance.rglob("*"))]
    open_ones = dict.fromkeys(str(path) for path in private if path.exists() and path.stat().st_mode & 0o077)
    if open_ones:
        named = ", ".join(list(open_ones)[:3]) + (f" and {len(open_ones) - 3} more" if len(open_ones) > 3 else "")
        yield Check("permissions", WARN, f"Others on this machine can read {named}: `chmod -R go= {instance}`.")
    else:
        yield Check("permissions", OK, "Only this account can read the database, the secret key and the queue.")


def _room(name: str, folder: Path) -> Check:
    state = os.statvfs(folder)
    free = state.f_bavail * state.f_frsize
    if free < LEAST_DISK:
        return Check(name, FAIL, f"Only {free // 2**20} MB are free at {folder}: make room.")
    if free < SOME_DISK:
        return Check(name, WARN, f"{free // 2**20} MB are free at {folder}: a large import or training needs more.")
    return Check(name, OK, f"{folder} can be written, {free / 2**30:.0f} GB are free.")


def _secret_key(app: Flask) -> Check:
    kept = Path(app.config["INSTANCE_DIR"]) / "secret_key"
    if kept.exists() and kept.read_text().strip() == app.config["SECRET_KEY"]:
        return Check("secret key", OK, f"Kept in {kept}.")
    return Check("secret key", OK, "Set by SECRET_KEY.")


def _address(app: Flask) -> Check:
    if app.config["HTTPS"]:
        return Check("cookies", OK, "Bound to https and to this host.")
    state = OK if config.loopback(str(app.config["HOST"])) else WARN
    return Check(
        "cookies", state, "Served over plain http, so whoever listens on the line can take a session over: beyond your "
        "own machine put TLS in front and set PUBLIC_URL=https://...",
    )  # fmt: skip


def _queue(app: Flask) -> Iterator[Check]:
    queue = jobs.state()
    if queue.error:
        where = app.config["REDIS_URL"]
        if app.config["EMBEDDED_REDIS"]:
            yield Check("redis", WARN, f"Nothing answers at {where}: `make run` starts it. Trainings wait until then.")
        else:
            yield Check("redis", FAIL, f"REDIS_URL does not answer ({queue.error}). Trainings wait until it does.")
        return
    yield _eviction()
    if queue.workers:
        beat = f"last heard of {queue.last_beat or 0:.0f} s ago"
        yield Check("worker", OK, f"{queue.workers} alive ({beat}), {queue.busy} busy; {queue.waiting} trainings wait.")
    else:
        gone = "" if queue.last_beat is None else f" (the last one was heard of {queue.last_beat:.0f} s ago)"
        yield Check("worker", WARN, f"No worker is alive{gone}, so nothing is trained: start one with `flask worker`.")


def _eviction() -> Check:
    try:
        policy = redis().config_get("maxmemory-policy").get("maxmemory-policy", "")
    except ResponseError:  # some hosted Redis forbid the question
        return Check("redis", WARN, "Redis answers, but does not tell its maxmemory-policy: see that it is noeviction.")
    except RedisError as error:
        return Check("redis", FAIL, f"Redis stopped answering ({error}).")
    if policy != "noeviction":
        return Check(
            "redis", WARN, f"Redis may forget queued trainings: change its maxmemory-policy ({policy}) to noeviction."
        )
    return Check("redis", OK, "Answers; forgets nothing by itself.")


def _database(app: Flask) -> Iterator[Check]:
    path = storage.path_of(app)
    try:
        if not path.exists():
            raise BadDatabase(f"There is no database at {path} yet: run `flask seed`.")
        storage.check_file(path, thorough=True)
        yield Check("database", OK, f"{path} is whole, {storage.size(path) / 2**20:.1f} MB.")
        have, newest = storage.versions(path)
    except BadDatabase as error:
        yield Check("database", FAIL, str(error))
        return
    if have == newest:
        yield Check("migrations", OK, f"Schema {have} is this version's.")
    else:
        yield Check("migrations", FAIL, f"Schema {have or 'none'}, but this version needs {newest}: run `flask seed`.")


def _data() -> Check:
    snapshot = snapshots.current()
    if snapshot is None:
        return Check("data", WARN, "No data set is in use: `flask data import` or `flask seed`.")
    try:
        snapshots.verify(snapshot)
    except Unavailable as error:
        return Check("data", FAIL, error.message)
    kind = "simulated viewers" if snapshot.simulated else "viewers"
    return Check("data", OK, f"{snapshot.source}: {snapshot.events:,} events of {snapshot.viewers:,} {kind}, whole.")


def _runs() -> Check:
    """Trainings that are said to run and give no sign of life: without a worker nobody ends them."""
    active = runs.active()
    silent = [run for run in active if runs.silent(run)]
    if not silent:
        return Check("trainings", OK, f"{len(active)} running or waiting." if active else "None is running or waiting.")
    names = ", ".join(f"{run.engine} #{run.id}" for run in silent)
    heard = max((now() - run.heartbeat_at).total_seconds() for run in silent if run.heartbeat_at)
    return Check(
        "trainings", WARN, f"Nothing was heard of {names} for {heard:.0f} s: a worker ends it within half a minute "
        "(`flask worker`), or `flask sweep` does.",
    )  # fmt: skip


def _on_air(app: Flask) -> Iterator[Check]:
    root = Path(app.config["MODELS_DIR"])
    run = db.session.get(Run, serving.on_air().run_id or 0)
    if run is None:
        yield Check("on air", OK, "No run yet; viewers get the popular films.")
    else:
        yield _artifact(root, run)
    known = {folder for folder in db.session.scalars(select(Run.artifact)) if folder}
    left = artifacts.orphans(root, known, DAY)
    if left:
        size = sum(orphan.bytes for orphan in left) / 2**20
        yield Check(
            "left-overs", WARN, f"{len(left)} folders of {root} belong to no run ({size:.0f} MB): run `flask sweep`."
        )
    else:
        yield Check("left-overs", OK, "Every folder of a trained run belongs to one.")


def _artifact(root: Path, run: Run) -> Check:
    try:
        artifacts.verify(root, run.engine, run.artifact or "", sha256=run.artifact_sha256)
    except ArtifactError as error:
        return Check(
            "on air", FAIL, f"{run.engine} #{run.id} was changed after it was saved ({error}): put another on air."
        )
    return Check("on air", OK, f"{run.engine} #{run.id}, every byte as it was saved.")


def _language_model() -> Check:
    name, state = "language model", llm.status()
    if state.off:
        return Check(name, OK, "Switched off: `flask llm on` lets viewers ask it again.")
    if state.problem:
        return Check(name, WARN if llm.wanted() else OK, f"Not in use: {state.problem}")
    if state.demo:
        return Check(name, WARN, "Its answers are a demo's: LLM_PROVIDER=stub is set.")
    if state.breaker.name != "closed":
        return Check(name, WARN, f"{state.host} failed again and again and is left alone: `flask llm try` says why.")
    if state.spent.calls >= state.caps.site_calls or state.spent.tokens >= state.caps.site_tokens:
        return Check(name, WARN, "Today's budget of the site is used up: LLM_SITE_CALLS and LLM_SITE_TOKENS set it.")
    return Check(name, OK, f"{state.model} at {state.host}; `flask llm try` asks it.")


def _people(app: Flask) -> Iterator[Check]:
    if accounts.administrator_exists():
        yield Check("administrators", OK, "There is one.")
    else:
        yield Check("administrators", WARN, "There is none: `flask setup-link` prints the way to the first one.")
    active, closed = db.session.execute(
        select(func.count().filter(User.active), func.count().filter(~User.active)).where(User.demo)
    ).one()
    if active:
        yield Check("demo accounts", WARN, f"{active} can sign in: `flask seed` without --demo closes them.")
    else:
        yield Check("demo accounts", OK, f"{closed} closed." if closed else "None.")
    if settings.registration_open():
        yield Check("registration", WARN, "Open: every visitor can make an account. REGISTRATION=off closes it.")
    else:
        yield Check("registration", OK, "Closed: accounts are made by an administrator.")
