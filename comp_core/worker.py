"""The embedded worker: takes tickets, keeps its row fresh, runs the maintenance loops beside."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType

from django.db import (
    DatabaseError,
    InterfaceError,
    ProgrammingError,
    close_old_connections,
    connections,
)
from django_tasks_db.management.commands.db_worker import Worker as TasksDbWorker

from comp_core.conf import conf
from comp_core.maintenance import MaintenanceThreads, registered_loops, run_all_once
from comp_core.presence import EVERY_QUEUE, Presence
from comp_core.process_state import stopping, worker_id

logger = logging.getLogger("comp_core")

RETRY_SECONDS = 0.5
JOIN_SECONDS = 5.0
PARENT_SECONDS = 1.0
# More rounds than any chain of work has links; a loop that always finds work must not hang us.
MAX_ROUNDS = 100


class TicketWorker(TasksDbWorker):
    """django-tasks-db's worker without its ways of leaving the process."""

    def __init__(self, *, queues: list[str], excluded: list[str], batch: bool = False) -> None:
        super().__init__(
            queue_names=queues,
            excluded_queue_names=excluded,
            interval=conf.WORKER_POLL_SECONDS,
            batch=batch,
            backend_name=conf.TASK_BACKEND,
            startup_delay=False,
            max_tasks=None,
            worker_id=worker_id(),
        )

    @property
    def tickets_taken(self) -> int:
        return self._run_tasks

    def stop(self) -> None:
        """No further ticket after the current one."""
        self.running = False

    def run(self) -> None:
        """Until stopped, whatever becomes of the database meanwhile; a batch ends when empty."""
        while self.running:
            try:
                return super().run()
            except ProgrammingError:
                raise  # a table or column is missing: waiting does not mend that
            except (DatabaseError, InterfaceError) as error:
                # A thread that ended here would leave a worker that looks alive and is not.
                logger.warning("The worker's database refused: %s", error)
                close_old_connections()
                time.sleep(RETRY_SECONDS)
        return None


def drain(*queues: str) -> int:
    """Carry out the tickets that wait, here and now; answers how many. Checks are among them."""
    served = [*queues, conf.CHECK_QUEUE] if queues else [EVERY_QUEUE]
    worker = TicketWorker(queues=served, excluded=[], batch=True)
    worker.run()
    return worker.tickets_taken


def work_until_idle(*queues: str) -> None:
    """Tickets and loops in turn until neither finds anything to do."""
    for _ in range(MAX_ROUNDS):
        if not drain(*queues) + run_all_once():
            return
    logger.warning("Still busy after %d rounds.", MAX_ROUNDS)


class CompWorker:
    """One worker process: runs in the main thread, checks and maintenance in threads beside it.

    ``queues`` empty: maintenance only. Checks have a thread of their own, so that a form's answer
    never waits behind somebody's long run. With ``pool``, the process id of the parent, the worker
    stops when that process is gone. ``say`` hears one line at the start and one at the end.
    """

    def __init__(
        self,
        *,
        queues: list[str],
        maintenance: bool,
        pool: int | None = None,
        say: Callable[[str], object] = logger.info,
    ) -> None:
        self.queues = queues
        self.pool = pool
        self.say = say
        self.maintenance = MaintenanceThreads() if maintenance else None
        self.runs = TicketWorker(queues=queues, excluded=self._excluded()) if queues else None
        self.checks = TicketWorker(queues=[conf.CHECK_QUEUE], excluded=[]) if queues else None
        self.presence = Presence(queues=self._served(), slots=1 if queues else 0)
        self.failure: Exception | None = None

    def _excluded(self) -> list[str]:
        return [conf.CHECK_QUEUE] if EVERY_QUEUE in self.queues else []

    def _served(self) -> list[str]:
        every = not self.queues or EVERY_QUEUE in self.queues
        return self.queues if every else sorted({*self.queues, conf.CHECK_QUEUE})

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; returns when everything has ended or been given back.

        Raises what keeps it from working on, such as a missing column.
        """
        signal.signal(signal.SIGTERM, self._on_signal)
        # Ctrl+C reaches a pool's workers too, and then the pool asks them: that is one request.
        signal.signal(signal.SIGINT, self._on_signal if self.pool is None else signal.SIG_IGN)
        self.presence.announce()
        self.say(f"Worker {worker_id()} has started: {self._duties()}.")
        threads = self._threads()
        if self.maintenance is not None:
            self.maintenance.start()
        for thread in threads:
            thread.start()
        if self.runs is not None:
            self.runs.run()
        stopping.event.wait()
        self._leave(threads)
        if self.failure is not None:
            raise self.failure
        self.say(f"Worker {worker_id()} has stopped.")

    def _duties(self) -> str:
        every = EVERY_QUEUE in self.queues
        runs = "runs of every queue" if every else f"runs of {', '.join(self.queues)}"
        loops = "no maintenance loops"
        if self.maintenance is not None:
            loops = f"{len(registered_loops())} maintenance loops"
        return f"{runs}, checks, {loops}" if self.queues else f"no runs, {loops}"

    def _threads(self) -> list[threading.Thread]:
        targets: dict[str, Callable[[], None]] = {"row": self._keep_row}
        if self.checks is not None:
            targets["checks"] = partial(self._answer_checks, self.checks)
        if self.pool is not None:
            targets["parent"] = self._watch_parent
        return [
            threading.Thread(target=target, name=name, daemon=True)
            for name, target in targets.items()
        ]

    def _keep_row(self) -> None:
        self.presence.keep(stopping.event)

    def _answer_checks(self, worker: TicketWorker) -> None:
        """Without this thread the process would look alive and answer no form: it ends as well."""
        try:
            worker.run()
        except Exception as error:
            logger.warning("The worker can answer no checks any more; it stops: %s", error)
            self.failure = error
            self._stop()
        finally:
            connections.close_all()  # this thread's own

    def _watch_parent(self) -> None:
        """Nobody would replace, or stop, the workers of a pool that was killed."""
        while not stopping.event.wait(PARENT_SECONDS):
            if os.getppid() != self.pool:
                logger.warning("The pool that started this worker is gone; it stops.")
                self._stop()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        stopping.ask()
        for worker in (self.runs, self.checks):
            if worker is not None:
                worker.stop()

    def _leave(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(conf.SHUTDOWN_SECONDS + JOIN_SECONDS)
        if self.maintenance is not None:
            self.maintenance.stop(seconds=JOIN_SECONDS)
        self.presence.leave()
