"""Periodic jobs beside the worker: a small registry, and the threads that run them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import close_old_connections, connections
from django.db.models.functions import Now

from comp_core.db import from_now
from comp_core.models import MaintenanceLoop
from comp_core.process_state import worker_id

logger = logging.getLogger("comp_core")

# A loop whose turn could not even be asked for, such as while the database was away, asks again
# after so long at the most: its own pause may be a day.
RETRY_SECONDS = 60.0
# Answers how many things it did; None and 0 mean that there was nothing to do.
LoopFunction = Callable[[], Any]


@dataclass(frozen=True)
class Loop:
    """A job and the pause between two rounds of it, in seconds; a callable is read live."""

    name: str
    function: LoopFunction
    seconds: float | Callable[[], float]
    everywhere: bool

    def pause(self) -> float:
        return self.seconds() if callable(self.seconds) else self.seconds


_loops: dict[str, Loop] = {}


def register_loop(
    name: str,
    func: LoopFunction,
    *,
    seconds: float | Callable[[], float],
    everywhere: bool = False,
) -> None:
    """Have workers call ``func`` again and again; call it in ``AppConfig.ready``.

    Each loop has a thread of its own in every worker. Of all workers one carries out a round, so
    the pause is the site's, however many workers there are; ``everywhere``: each worker has its
    own rounds, for work that several can share. Two rounds may overlap all the same, when one
    takes longer than the pause: what they do must be claimed in the database. Registering a name
    again replaces its loop.
    """
    _loops[name] = Loop(name, func, seconds, everywhere)


def registered_loops() -> list[Loop]:
    return list(_loops.values())


def run_all_once() -> int:
    """One round of every loop in this thread, whoever's turn it is; answers how many things
    were done.

    An error is raised after the other loops have had their turn.
    """
    done, failure = 0, None
    for loop in registered_loops():
        try:
            done += int(loop.function() or 0)
        except Exception as error:
            logger.exception("Maintenance loop %s failed.", loop.name)
            failure = failure or error
    if failure is not None:
        raise failure
    return done


def take_turn(loop: Loop) -> float:
    """Claim the next round of a loop: 0 when it is ours, else the seconds until it is due."""
    row = MaintenanceLoop.objects.filter(pk=loop.name)
    found = row.annotate(db_now=Now()).values_list("due_at", "db_now").first()
    if found is None:
        MaintenanceLoop.objects.bulk_create(
            [MaintenanceLoop(name=loop.name, due_at=Now())], ignore_conflicts=True
        )
        return take_turn(loop)
    due_at, db_now = found
    if due_at > db_now:
        # A pause that has been shortened since is not waited for.
        return min(float((due_at - db_now).total_seconds()), loop.pause())
    mine = row.filter(due_at__lte=Now()).update(
        due_at=from_now(loop.pause()), started_at=Now(), worker_id=worker_id()
    )
    return 0.0 if mine else loop.pause()


class MaintenanceThreads:
    """A thread for each loop, until stopped. An error is logged; the next round tries again."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.threads = [
            threading.Thread(target=self._repeat, args=(loop,), name=loop.name, daemon=True)
            for loop in registered_loops()
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self, *, seconds: float) -> None:
        """Ask all loops to end and wait for each so long; what still runs dies with us."""
        self.stopped.set()
        for thread in self.threads:
            thread.join(seconds)

    def _repeat(self, loop: Loop) -> None:
        try:
            self._repeat_until_stopped(loop)
        finally:
            connections.close_all()  # this thread's own

    def _repeat_until_stopped(self, loop: Loop) -> None:
        while not self.stopped.is_set():
            close_old_connections()
            wait = RETRY_SECONDS
            try:
                wait = min(wait, loop.pause())
                wait = self._round(loop)
            except Exception:
                # Such as a database that is away, or not migrated yet.
                logger.exception("Maintenance loop %s failed.", loop.name)
            close_old_connections()
            self.stopped.wait(wait)

    def _round(self, loop: Loop) -> float:
        """Carry out a round if it is ours; answers how long to wait for the next."""
        if not loop.everywhere and (wait := take_turn(loop)):
            return wait
        error_type = ""
        try:
            loop.function()
        except Exception as error:
            logger.exception("Maintenance loop %s failed.", loop.name)
            error_type = type(error).__name__[:100]
        close_old_connections()
        if not loop.everywhere:
            row = MaintenanceLoop.objects.filter(pk=loop.name)
            row.update(finished_at=Now(), error_type=error_type)
        return loop.pause()
