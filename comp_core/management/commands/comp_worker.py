"""``comp_worker``: executes runs and checks, and keeps the site's books in order."""

from __future__ import annotations

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from comp_core.conf import conf
from comp_core.pool import WorkerPool
from comp_core.tickets import uses_database_backend
from comp_core.worker import EVERY_QUEUE, CompWorker, work_until_idle


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

    def handle(self, *args: Any, **options: Any) -> None:
        only_loops = options["maintenance"] is True
        if not only_loops and not uses_database_backend():
            raise CommandError(
                f"TASKS[{conf.TASK_BACKEND!r}] has workers of its own. Start those, and beside "
                "them: comp_worker --maintenance"
            )
        if options["processes"] < 1:
            raise CommandError("--processes must be at least 1.")
        if options["once"]:
            work_until_idle()
        elif options["processes"] > 1 and not only_loops:
            WorkerPool(size=options["processes"], queues=options["queue"]).run()
        else:
            queues = [] if only_loops else options["queue"].split(",")
            CompWorker(queues=queues, maintenance=options["maintenance"] is not False).run()
