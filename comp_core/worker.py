"""The embedded worker: takes tickets, keeps its row fresh, runs the maintenance loops beside."""

from __future__ import annotations

import logging
import signal
import threading
import time
from types import FrameType

from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    close_old_connections,
)
from django.db.models.functions import Now
from django_tasks_db.management.commands.db_worker import Worker as TasksDbWorker

from comp_core.conf import conf
from comp_core.db import from_now, patient
from comp_core.maintenance import MaintenanceThreads, run_all_once
from comp_core.models import Worker
from comp_core.process_state import stopping, worker_id

logger = logging.getLogger("comp_core")

EVERY_QUEUE = "*"
ROW_SECONDS = 10.0
SEEN_SECONDS = 120
FORGOTTEN_SECONDS = 86_400
RETRY_SECONDS = 0.5
JOIN_SECONDS = 5.0
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


def drain() -> int:
    """Carry out the tickets that wait, here and now; answers how many."""
    worker = TicketWorker(queues=[EVERY_QUEUE], excluded=[], batch=True)
    worker.run()
    return worker.tickets_taken


def work_until_idle() -> None:
    """Tickets and loops in turn until neither finds anything to do."""
    for _ in range(MAX_ROUNDS):
        if not drain() + run_all_once():
            return
    logger.warning("Still busy after %d rounds.", MAX_ROUNDS)


def worker_seen_recently() -> bool:
    """Whether a worker that executes runs has given a sign of life within two minutes."""
    alive = Worker.objects.filter(seen_at__gt=from_now(-SEEN_SECONDS))
    return alive.exclude(queues="").exists()


class CompWorker:
    """One worker process: runs in the main thread, checks and maintenance in threads beside it.

    ``queues`` empty: maintenance only. Checks have a thread of their own, so that a form's answer
    never waits behind somebody's long run.
    """

    def __init__(self, *, queues: list[str], maintenance: bool) -> None:
        self.queues = queues
        self.maintenance = MaintenanceThreads() if maintenance else None
        self.runs = TicketWorker(queues=queues, excluded=self._excluded()) if queues else None
        self.checks = TicketWorker(queues=[conf.CHECK_QUEUE], excluded=[]) if queues else None

    def _excluded(self) -> list[str]:
        return [conf.CHECK_QUEUE] if EVERY_QUEUE in self.queues else []

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; returns when everything has ended or been given back."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._announce()
        threads = [threading.Thread(target=self._keep_row, name="row", daemon=True)]
        if self.checks is not None:
            threads.append(threading.Thread(target=self.checks.run, name="checks", daemon=True))
        if self.maintenance is not None:
            self.maintenance.start()
        for thread in threads:
            thread.start()
        if self.runs is not None:
            self.runs.run()
        stopping.event.wait()
        self._leave(threads)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        stopping.ask()
        for worker in (self.runs, self.checks):
            if worker is not None:
                worker.stop()

    def _leave(self, threads: list[threading.Thread]) -> None:
        for thread in threads:
            thread.join(conf.SHUTDOWN_SECONDS + JOIN_SECONDS)
        if self.maintenance is not None:
            self.maintenance.stop(seconds=JOIN_SECONDS)
        Worker.objects.filter(pk=worker_id()).delete()

    @patient(60)
    def _announce(self) -> None:
        values = {"queues": ",".join(self.queues), "started_at": Now(), "seen_at": Now()}
        Worker.objects.update_or_create(pk=worker_id(), defaults=values)

    def _keep_row(self) -> None:
        while not stopping.event.wait(ROW_SECONDS):
            close_old_connections()
            try:
                if not Worker.objects.filter(pk=worker_id()).update(seen_at=Now()):
                    self._announce()
                Worker.objects.filter(seen_at__lt=from_now(-FORGOTTEN_SECONDS)).delete()
            except (OperationalError, InterfaceError) as error:
                logger.warning("The worker could not refresh its row: %s", error)
