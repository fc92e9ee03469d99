"""What the engine meets in an execution: a billed site, a clock that nobody waits for, and models
that answer at once. All else is the engine's own code on a real database."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection
from django.db.backends.signals import connection_created
from django.test import override_settings

from comp_billing import catalog, stripe_api
from comp_billing.testing import StandIn, StandInClient
from comp_core import crashpoints, db, runner, tasks
from comp_core.conf import conf
from comp_core.outputs import sweeping
from comp_core.process import Ending, Progress, Stop
from comp_users.models import Profile
from tests.billing.builders import Site
from tests.faults import audit
from tests.faults.scheduler import Actor, current_actor

USD_PER_HOUR = 36
BAD_ENDS = (None, Stop.DEADLINE, Stop.MEMORY, Stop.GARBLED)


class ActorsTime:
    """Seconds as an actor lives through them: sleeping is letting others go on."""

    def monotonic(self) -> float:
        actor = current_actor()
        return time.monotonic() if actor is None else actor.clock

    def sleep(self, seconds: float) -> None:
        actor = current_actor()
        if actor is None:
            time.sleep(seconds)
            return
        actor.clock += seconds
        actor.park("asleep")


class ActorsStopping:
    """Whether the worker that an actor plays has been asked to stop."""

    @property
    def asked(self) -> bool:
        actor = current_actor()
        return actor is not None and actor.must_stop

    overdue = asked


class SeededOs:
    """``os`` for the uuid module: ids are random, and the same for the same seed."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def urandom(self, size: int) -> bytes:
        actor = current_actor()
        return os.urandom(size) if actor is None else actor.rng.randbytes(size)


def content_of(run: uuid.UUID, attempt: int, token: uuid.UUID, number: int) -> bytes:
    """What an attempt's n-th output holds: nobody else's does."""
    return f"{run} {attempt} {token} {number}\n".encode() * (1 + number)


def seconds_of(attempt: int) -> float:
    """The run time that an attempt's model tells."""
    return 1.25 + attempt


def version_of(attempt: int) -> str:
    return f"attempt {attempt}"


def answer_at_once(task: str, spec: Any, inputs: Any, scratch: Any, **options: Any) -> Ending:
    """Stands for the model's process: passes the same watch, and leaves the same files."""
    actor = current_actor()
    if task == "check":
        if actor is not None:
            actor.park("model:checking")
            actor.must_stop = actor.must_stop or actor.rng.random() < 0.05
        stop = options["watch"](Progress())
        return Ending(stop=stop, answer={"type": "done", "errors": {}, "version": "1"})
    watch = options["watch"]
    stop = None if actor is None else _go_on(actor, watch)
    if stop is not None:
        return Ending(stop=stop, seconds=9.0)
    if actor is not None and actor.rng.random() < 0.15:
        return _bad_end(actor)
    return _success(watch.run, watch.token, scratch.outputs, 1 if actor is None else actor.rng)


def _go_on(actor: Actor, watch: Any) -> Stop | None:
    for _ in range(actor.rng.randrange(5)):
        actor.park("model:running")
        actor.must_stop = actor.must_stop or actor.rng.random() < actor.restless
        actor.clock += conf.HEARTBEAT_SECONDS
        stop: Stop | None = watch(Progress(0.5, "half"))
        if stop is not None:
            return stop
    # The next heartbeat may fall between two outputs that are stored.
    actor.clock += actor.rng.choice((0, conf.HEARTBEAT_SECONDS))
    return None


def _bad_end(actor: Actor) -> Ending:
    stop = actor.rng.choice(BAD_ENDS)
    answer = {"type": "failed", "error_type": "ValueError", "message": "It broke."}
    return Ending(stop=stop, answer=None if stop else answer, seconds=9.0)


def _success(run: Any, token: uuid.UUID, directory: Any, rng: Any) -> Ending:
    entries = []
    for number in range(1, 2 if rng == 1 else rng.randint(1, 2) + 1):
        (directory / str(number)).write_bytes(content_of(run.pk, run.attempt, token, number))
        entry = {"file": str(number), "filename": "result.txt", "title": "Result"}
        entries.append({**entry, "kind": "file", "media_type": "text/plain"})
    answer = {
        "type": "done",
        "outputs": entries,
        "seconds": seconds_of(run.attempt),
        "version": version_of(run.attempt),
    }
    return Ending(answer=answer, seconds=9.0, tail="Done.")


@contextmanager
def built() -> Iterator[list[Profile]]:
    """The world, until the end of the block: a journal, a shop, and two profiles who can pay."""
    standin = StandIn()
    billing = {**settings.COMP_BILLING, "NETWORK_RETRIES": 0}
    core = {"METER": "comp_billing.metering.StripeMeter"}
    connection.close()
    connection_created.connect(audit.on_connected)
    with ExitStack() as stack:
        stack.callback(standin.close)
        stack.callback(connection_created.disconnect, audit.on_connected)
        stack.enter_context(override_settings(COMP_BILLING=billing, COMP_CORE=core))
        stack.enter_context(stripe_api.use_http_client(StandInClient(standin)))
        connection.ensure_connection()
        audit.install()
        stack.callback(audit.remove)
        catalog.set_up_catalog()
        site = Site(standin, settings)
        yield [site.subscriber(name) for name in ("ann", "bob")]


@contextmanager
def staged(hook: Any) -> Iterator[None]:
    """Actors' clocks and models in the place of real ones, and a hook at the crash points."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(crashpoints, "hook", hook))
        for module in (db, runner):
            stack.enter_context(patch.object(module, "time", ActorsTime()))
        for module in (runner, tasks):
            stack.enter_context(patch.object(module, "stopping", ActorsStopping()))
        stack.enter_context(patch.object(tasks, "worker_id", audit.writer_name))
        stack.enter_context(patch.object(runner, "start_model", answer_at_once))
        stack.enter_context(patch.object(uuid, "os", SeededOs()))
        stack.enter_context(patch.object(sweeping, "_patience", sweeping.Patience()))
        yield


def stored_files() -> list[str]:
    """The names of everything that storage holds of runs."""
    root = default_storage.path("runs")
    found = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    return sorted(os.path.relpath(path, os.path.dirname(root)) for path in found)
