"""Periodic jobs beside the worker: a small registry, and the threads that run them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import close_old_connections

logger = logging.getLogger("comp_core")

# Answers how many things it did; None and 0 mean that there was nothing to do.
LoopFunction = Callable[[], Any]


@dataclass(frozen=True)
class Loop:
    """A job and the pause between two rounds of it, in seconds; a callable is read live."""

    name: str
    function: LoopFunction
    seconds: float | Callable[[], float]

    def pause(self) -> float:
        return self.seconds() if callable(self.seconds) else self.seconds


_loops: dict[str, Loop] = {}


def register_loop(name: str, func: LoopFunction, *, seconds: float | Callable[[], float]) -> None:
    """Have every worker call ``func`` again and again; call it in ``AppConfig.ready``.

    Each loop has a thread of its own, and several workers call it at the same time: what it does
    must be claimed in the database. Registering a name again replaces its loop.
    """
    _loops[name] = Loop(name, func, seconds)


def registered_loops() -> list[Loop]:
    return list(_loops.values())


def run_all_once() -> int:
    """One round of every loop in this thread; answers how many things were done.

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
        while not self.stopped.is_set():
            close_old_connections()
            try:
                loop.function()
            except Exception:
                logger.exception("Maintenance loop %s failed.", loop.name)
            close_old_connections()
            self.stopped.wait(loop.pause())
