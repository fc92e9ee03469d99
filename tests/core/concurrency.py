"""Real threads on connections of their own, held at the moments that decide: nothing by luck.

An actor's moments are the statements that it is about to send, and the crash points where all is
written and nothing is committed. The first actor is held at one of them while the second plays,
until the second is done or the database says that it waits for the first; then both end. Every
wait is bounded.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection

from comp_core import crashpoints
from comp_core.exceptions import CompError

WAIT_SECONDS = 30
# Looked at anew while the database may still be on its way.
POLL_SECONDS = 0.004
# What a row lock looks like to those who wait for it.
ROW_LOCKS = {"transactionid", "tuple"}
# Statements at which nothing is decided: framing, what the meter looks up, what only follows
# from the row that is locked by then, tickets.
IDLE = re.compile(
    r"SAVEPOINT|RELEASE|ROLLBACK|SELECT .* FROM \"comp_billing|INSERT INTO \"comp_billing_usage"
    r"|INSERT INTO \"comp_core_attempt|.*\"django_tasks_"
)

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="row locks, and who waits for them, are PostgreSQL's"
)
_playing = threading.local()


class Surfaced(str):
    """An error that reached a caller and is no answer of ours."""


class Actor:
    """A thread with a connection of its own. It can be held at any of its moments."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 0
        self.go = threading.Event()
        self.pool = ThreadPoolExecutor(1, name)
        self.pool.submit(_bound_statements).result(WAIT_SECONDS)

    def play(self, verb: Callable[[], Any], *, hold_at: int | None = None) -> None:
        """Begin; ``hold_at`` is the number of the moment to be held at, None: none."""
        self.passed: list[str] = []
        self.hold_at, self.held = hold_at, False
        self.stirred, self.go = threading.Event(), threading.Event()
        self.played = self.pool.submit(self._play, verb)
        self.played.add_done_callback(lambda _: self.stirred.set())

    def answer(self) -> Any:
        """What the verb answered, refused with, or broke with; lets a held actor go on."""
        self.go.set()
        return self.played.result(WAIT_SECONDS)

    def until_still(self, others: list[Actor]) -> str:
        """Wait until it is held, done, or blocked by the others; answers that, or the lock."""
        end = time.monotonic() + WAIT_SECONDS
        while not self.stirred.wait(POLL_SECONDS):
            lock = _waits_for(self.pid, [other.pid for other in others])
            if lock is not None:
                return lock
            assert time.monotonic() < end, f"{self.name} neither ended nor waited for a lock"
        return "held" if self.held else "done"

    def moment(self, name: str) -> None:
        """Called in the actor's thread at each of its moments."""
        self.passed.append(name)
        if len(self.passed) - 1 != self.hold_at:
            return
        self.held = True
        self.stirred.set()
        assert self.go.wait(WAIT_SECONDS), f"{self.name} was never released from {name}"

    def close(self) -> None:
        """Let it go on and end, and its connection with it."""
        self.go.set()
        self.pool.submit(_close_connection).result(WAIT_SECONDS)
        self.pool.shutdown()

    def _play(self, verb: Callable[[], Any]) -> Any:
        _playing.actor = self
        with connection.execute_wrapper(self._statement):
            return answer_of(verb)

    def _statement(self, execute: Any, sql: str, *rest: Any) -> Any:
        if connection.vendor == "postgresql":
            self.pid = connection.connection.info.backend_pid
        if not IDLE.match(sql):
            self.moment(sql[:60])
        return execute(sql, *rest)


def _bound_statements() -> None:
    """No statement of this thread waits for ever, whatever goes wrong in the others."""
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            limit = str(WAIT_SECONDS * 500)
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [limit])


def _close_connection() -> None:
    """This thread's: ``connection`` is another in each."""
    connection.close()


def _waits_for(pid: int, others: list[int]) -> str | None:
    """The kind of lock that a backend waits for because of the others; None: it does not."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT locktype FROM pg_locks"
            " WHERE pid = %s AND NOT granted AND pg_blocking_pids(%s) && %s::int[]",
            [pid, pid, others],
        )
        found = cursor.fetchone()
    return found[0] if found else None


def answer_of(verb: Callable[[], Any]) -> Any:
    """What a verb answers; its refusals are answers too."""
    try:
        return verb()
    except CompError as refusal:
        return type(refusal).__name__
    except Exception as error:
        return Surfaced(f"{type(error).__name__}: {error}")


def errors(answers: list[Any]) -> list[str]:
    """Those that no caller should have met."""
    return [answer for answer in answers if isinstance(answer, Surfaced)]


def written(name: str) -> None:
    """For ``crashpoints.hook``: all is written and nothing is committed."""
    actor = getattr(_playing, "actor", None)
    if actor is not None and name.endswith(":written"):
        actor.moment(name)


class Duel:
    """Two actors, one of whom is held while the other plays."""

    def __init__(self) -> None:
        self.first, self.second = Actor("first"), Actor("second")

    def fight(
        self,
        first: Callable[[], Any],
        second: Callable[[], Any],
        *,
        hold_at: int,
        meanwhile: Callable[[], list[str]] = list,
    ) -> list[str] | None:
        """What was wrong, errors that a caller met among it; None: no such moment of the first.

        ``meanwhile`` looks at what is committed while the first is held and the second is done
        or waits; so does the rig, at what the second waits for.
        """
        self.first.play(first, hold_at=hold_at)
        if self.first.until_still([self.second]) == "done":
            self.first.answer()
            return None
        self.second.play(second)
        state = self.second.until_still([self.first])
        wrong = meanwhile()
        if state not in ROW_LOCKS | {"done"}:
            wrong.append(f"the second waited for a lock of the kind {state}")
        answers = [self.first.answer(), self.second.answer()]
        return wrong + errors(answers)

    def close(self) -> None:
        self.first.close()
        self.second.close()


@pytest.fixture
def duel(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Duel]:
    """Two actors on this test's database; their connections are closed afterwards."""
    monkeypatch.setattr(crashpoints, "hook", written)
    pair = Duel()
    yield pair
    pair.close()


@pytest.fixture
def troupe(transactional_db: None) -> Iterator[list[Actor]]:
    """Eight actors on this test's database; their connections are closed afterwards."""
    actors = [Actor(f"actor {number}") for number in range(8)]
    yield actors
    for actor in actors:
        actor.close()


def at_once(actors: list[Actor], verbs: list[Callable[[], Any]]) -> list[Any]:
    """Answers of verbs that begin at the same moment, one for each actor."""
    barrier = threading.Barrier(len(verbs))

    def begin(verb: Callable[[], Any]) -> Any:
        barrier.wait(WAIT_SECONDS)
        return verb()

    for actor, verb in zip(actors, verbs, strict=True):
        actor.play(partial(begin, verb))
    return [actor.answer() for actor in actors]


def together(verbs: list[Callable[[], Any]]) -> list[Any]:
    """The same with as many new actors as there are verbs."""
    actors = [Actor(f"actor {number}") for number in range(len(verbs))]
    try:
        return at_once(actors, verbs)
    finally:
        for actor in actors:
            actor.close()
