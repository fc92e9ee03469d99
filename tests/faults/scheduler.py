"""One actor at a time: real threads with connections of their own, which pause at crash points.

A seeded choice says who goes on. On PostgreSQL an actor may pause inside its transaction; who then
waits for its row is found out by asking the server, and the others go on.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

from django.db import connection, connections

from tests.faults.crashes import Crash

# Before asking the server whether an actor waits for another one's row.
LOOK_SECONDS = 0.008
# An actor that neither pauses nor ends within this time hangs.
HANG_SECONDS = 20.0


class Hang(Exception):
    """An actor did not come to its next point."""


class Actor(threading.Thread):
    """A thread that plays one part after the other; ``clock`` is its own idea of seconds."""

    def __init__(self, name: str, events: queue.SimpleQueue[tuple[Actor, str]]) -> None:
        super().__init__(name=name, daemon=True)
        self.events = events
        self.parts: queue.SimpleQueue[Callable[[Actor], None] | None] = queue.SimpleQueue()
        self.turn = threading.Semaphore(0)
        self.backend: int | None = None
        self.cast(Random(0))

    def cast(self, rng: Random) -> None:
        """A fresh start for another execution."""
        self.rng, self.clock = rng, 1000.0
        self.state, self.place = "off", ""
        self.error: BaseException | None = None
        self.must_stop = self.is_ghost = self.in_transaction = False
        # How likely its worker is asked to stop between two heartbeats.
        self.restless = 0.1
        # For so many of others' turns nobody sees anything of us.
        self.nap = 0

    def run(self) -> None:
        while (part := self.parts.get()) is not None:
            self.turn.acquire()
            try:
                part(self)
            except BaseException as error:
                self.error = error
            if self.is_ghost or connection.in_atomic_block:
                connection.close()
            self.events.put((self, "done"))
        connection.close()

    def park(self, place: str) -> None:
        """Let others go on; back when it is our turn again."""
        if self.is_ghost and place != "dead":
            raise Crash(place)
        self.place, self.in_transaction = place, connection.in_atomic_block
        if self.in_transaction:
            self.nap = self.rng.choice((0, 15, 30))
        self.events.put((self, "parked"))
        self.turn.acquire()
        if self.is_ghost:
            raise Crash(place)

    def vanish(self) -> None:
        """What kill -9 does: the connection closes, and nothing of us runs any more."""
        self.is_ghost = True
        if connection.connection is not None:
            connection.connection.close()
        self.park("dead")


def current_actor() -> Actor | None:
    """The actor whose thread this is; None in the checker's own."""
    thread = threading.current_thread()
    return thread if isinstance(thread, Actor) else None


class Scheduler:
    """Casts parts to its actors and lets them go on in an order that a seed chooses."""

    def __init__(self, size: int) -> None:
        self.events: queue.SimpleQueue[tuple[Actor, str]] = queue.SimpleQueue()
        self.actors = [Actor(f"actor-{number}", self.events) for number in range(size)]
        self.monitor: Any = connections["default"].copy()
        for actor in self.actors:
            actor.start()

    def close(self) -> None:
        for actor in self.actors:
            actor.parts.put(None)
        for actor in self.actors:
            actor.join(HANG_SECONDS)
        self.monitor.close()

    def play(self, parts: list[Callable[[Actor], None]], rng: Random) -> list[Actor]:
        """Until every part has ended or its actor is dead; answers the cast."""
        cast = self.actors[: len(parts)]
        for actor, part in zip(cast, parts, strict=True):
            actor.cast(Random(rng.random()))
            actor.state = "parked"
            actor.parts.put(part)
        for _ in range(100_000):
            waiting = [actor for actor in cast if actor.state == "parked"]
            if not waiting and not any(actor.state == "blocked" for actor in cast):
                break
            if waiting:
                self._resume(self._choose(waiting, cast, rng))
            self._settle(cast)
        return cast

    def bury(self) -> None:
        """Let the dead unwind, unheard, once the execution has been judged."""
        for actor in self.actors:
            if actor.state == "dead":
                self._resume(actor)
        self._settle(self.actors)

    def _choose(self, waiting: list[Actor], cast: list[Actor], rng: Random) -> Actor:
        """Anybody; sooner who keeps others waiting, later who has fallen asleep for a while."""
        for actor in waiting:
            actor.nap -= 1
        holding = [actor for actor in waiting if actor.in_transaction]
        if holding and any(actor.state == "blocked" for actor in cast):
            return rng.choice(holding)
        awake = [actor for actor in waiting if actor.nap <= 0]
        # Who is about to write may want what another one has written and not committed.
        writers = [actor for actor in awake if actor.place.endswith(":begin")]
        if holding and writers and rng.random() < 0.6:
            return rng.choice(writers)
        chosen = rng.choice(awake or waiting)
        if rng.random() < 0.05:
            chosen.nap = rng.randint(8, 40)
        return chosen

    def _resume(self, actor: Actor) -> None:
        actor.state = "running"
        actor.turn.release()

    def _settle(self, cast: list[Actor]) -> None:
        """Until nobody runs: each has paused, ended, or waits for somebody who has paused."""
        deadline = time.monotonic() + HANG_SECONDS
        while True:
            if not any(actor.state == "running" for actor in cast):
                freed = [a for a in cast if a.state == "blocked" and not self._is_blocked(a)]
                for actor in freed:
                    actor.state = "running"
                held = any(a.state == "parked" for a in cast)
                if not freed and (held or not any(a.state == "blocked" for a in cast)):
                    return
            try:
                actor, state = self.events.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                self._find_blocked(cast)
            else:
                actor.state = "dead" if actor.is_ghost and state == "parked" else state
            if time.monotonic() > deadline:
                raise Hang(str([(a.name, a.state, a.place) for a in cast]))

    def _find_blocked(self, cast: list[Actor]) -> None:
        for actor in cast:
            if actor.state == "running" and self._is_blocked(actor):
                actor.state = "blocked"

    def _is_blocked(self, actor: Actor) -> bool:
        if connection.vendor != "postgresql" or actor.backend is None:
            return False
        with self.monitor.cursor() as cursor:
            cursor.execute("SELECT pg_blocking_pids(%s)", [actor.backend])
            return bool(cursor.fetchone()[0])

    def cut(self, actor: Actor) -> None:
        """Have the server end an actor's connection."""
        with self.monitor.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [actor.backend])
