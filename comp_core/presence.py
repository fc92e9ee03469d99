"""Who is there: one row per worker, kept by the worker itself, stale when it falls silent."""

from __future__ import annotations

import logging
import threading
from typing import Any

from django.apps import apps
from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from django.db.models import Q, Sum
from django.db.models.functions import Now

from comp_core.conf import conf
from comp_core.db import from_now, patient
from comp_core.process_state import worker_id

logger = logging.getLogger("comp_core")

EVERY_QUEUE = "*"
ROW_SECONDS = 10.0
SEEN_SECONDS = 120
FORGOTTEN_SECONDS = 86_400
# As long as the column that keeps them.
QUEUES_LENGTH = 200


class Presence:
    """This process's row. ``slots`` is how many runs it executes at a time.

    ``queues`` empty: it runs the maintenance loops and executes nothing.
    """

    def __init__(self, *, queues: list[str], slots: int) -> None:
        self.queues = ",".join(queues)
        if len(self.queues) > QUEUES_LENGTH:
            self.queues = EVERY_QUEUE
        self.slots = slots

    @patient(60)
    def announce(self) -> None:
        values = {"queues": self.queues, "slots": self.slots, "seen_at": Now()}
        _workers().update_or_create(
            pk=worker_id(), defaults=values, create_defaults={**values, "started_at": Now()}
        )

    def keep(self, until: threading.Event) -> None:
        """Give a sign of life at once and every ten seconds; for a thread of its own."""
        while not until.is_set():
            close_old_connections()
            try:
                if not _workers().filter(pk=worker_id()).update(seen_at=Now()):
                    self.announce()
                _workers().filter(seen_at__lt=from_now(-FORGOTTEN_SECONDS)).delete()
            except (DatabaseError, InterfaceError) as error:
                logger.warning("The worker could not refresh its row: %s", error)
            # A process that forks must not share a connection with what it forks.
            connections.close_all()
            until.wait(ROW_SECONDS)

    def leave(self) -> None:
        """Remove the row; one that stays because the database is away is stale soon."""
        try:
            _workers().filter(pk=worker_id()).delete()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The worker could not remove its row: %s", error)


def worker_seen_recently(queue: str = "") -> bool:
    """Whether a worker of a queue has given a sign of life within two minutes.

    Without a queue: whether any worker has that executes runs.
    """
    if queue:
        return bool(_serving(queue).exists())
    return bool(_alive().exclude(queues__in=["", conf.CHECK_QUEUE]).exists())


def slots_for(queue: str) -> int:
    """How many runs of a queue the workers of today execute at a time; 0 when none is known."""
    return _serving(queue).aggregate(slots=Sum("slots"))["slots"] or 0


def _alive() -> Any:
    return _workers().filter(seen_at__gt=from_now(-SEEN_SECONDS))


def _serving(queue: str) -> Any:
    """Commas and all, so that ``gpu`` is not found in ``gpu-large``."""
    within = Q(queues__startswith=f"{queue},") | Q(queues__endswith=f",{queue}")
    exact = Q(queues__in=[EVERY_QUEUE, queue])
    return _alive().filter(exact | within | Q(queues__contains=f",{queue},"))


def _workers() -> Any:
    # By name: a task backend may be loaded before the models are.
    return apps.get_model("comp_core", "Worker")._default_manager
