"""``comp_worker``: executes runs and checks, and keeps the site's books in order."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from comp_core.conf import conf
from comp_core.maintenance import run_all_once
from comp_core.pool import WorkerPool
from comp_core.presence import EVERY_QUEUE
from comp_core.registry import registered
from comp_core.startup import wait_until_ready
from comp_core.tickets import uses_database_backend
from comp_core.worker import CompWorker, work_until_idle


class Command(BaseCommand):
    """One worker process, or several; stops gracefully at SIGTERM, at once at the second."""

    help = "Execute runs and input checks, with the maintenance loops beside them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--queue", default=EVERY_QUEUE, help="Queues to serve, comma-separated; * for all."
        )
        parser.add_argument("--processes", type=int, default=1, help="How many runs at a time.")
        parser.add_argument(
            "--maintenance",
            action=argparse.BooleanOptionalAction,
            default=None,
            help="Run the maintenance loops only; --no-maintenance leaves them out.",
        )
        parser.add_argument(
            "--once", action="store_true", help="Do what there is to do, then exit."
        )
        # The process that started this one as a part of its pool.
        parser.add_argument("--pool", type=int, help=argparse.SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        only_loops = options["maintenance"] is True
        queues = [] if only_loops else _queues(options["queue"])
        _refuse(options)
        self._warn_of_unknown(queues)
        wait_until_ready(self.stderr.write)
        loops = options["maintenance"] is not False
        if options["once"]:
            run_all_once() if only_loops else work_until_idle(*queues)
        elif options["processes"] > 1:
            size = options["processes"]
            WorkerPool(size=size, queues=",".join(queues), maintenance=loops).run()
        else:
            pool = options["pool"]
            CompWorker(queues=queues, maintenance=loops, pool=pool, say=self._say).run()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        # A supervisor's log is no terminal: it would be told when the buffer is full.
        self.stdout.flush()

    def _warn_of_unknown(self, queues: list[str]) -> None:
        known = {spec.queue for spec in registered().values()}
        unknown = sorted(set(queues) - known - {EVERY_QUEUE, conf.CHECK_QUEUE})
        if unknown:
            self.stderr.write(
                f"No model uses the queue {', '.join(unknown)}. Those in use are "
                f"{', '.join(sorted(known))}."
            )


def _queues(text: str) -> list[str]:
    queues = [name.strip() for name in text.split(",") if name.strip()]
    if not queues:
        raise CommandError("--queue names no queue. Leave it out to serve all of them.")
    return queues


def _refuse(options: dict[str, Any]) -> None:
    """Options that contradict each other or the site's settings."""
    processes, only_loops = options["processes"], options["maintenance"] is True
    if processes < 1:
        raise CommandError("--processes must be at least 1.")
    if processes > 1 and (only_loops or options["once"]):
        raise CommandError(
            "--processes is how many runs are executed at a time; with --maintenance or --once "
            "there is one process."
        )
    if not only_loops and not uses_database_backend():
        raise CommandError(
            f"TASKS[{conf.TASK_BACKEND!r}] has workers of its own. Start those, and beside "
            "them: comp_worker --maintenance"
        )
