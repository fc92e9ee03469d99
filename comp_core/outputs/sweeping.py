"""Sweeps what interrupted attempts may have left in storage: nobody will ever ask for it."""

from __future__ import annotations

import logging
import time
from typing import Any

from django.core.files.storage import Storage
from django.db.models.functions import Now

from comp_core.conf import conf
from comp_core.crashpoints import crashpoint
from comp_core.db import from_now
from comp_core.models import Attempt
from comp_core.outputs.files import (
    attempt_folder,
    files_in,
    kept_paths,
    output_storage,
    remove_all,
    remove_empty_folders,
    run_folder,
)

# Attempts that one round looks at; the next round takes the rest.
BATCH = 100
# A round ends after so many failures: a storage that is away answers slowly.
FAILURES = 5
FIRST_PAUSE_SECONDS = 300
LONGEST_PAUSE_SECONDS = 86_400
# How many failed attempts one process remembers.
REMEMBERED = 1000

logger = logging.getLogger("comp_core")


class Patience:
    """Which attempts this process tries again when: each failure doubles the pause."""

    def __init__(self) -> None:
        self._pauses: dict[int, float] = {}
        self._due: dict[int, float] = {}

    def failed(self, pk: int) -> bool:
        """Note a failure; answers whether it is this attempt's first."""
        first = pk not in self._pauses
        pause = min(self._pauses.pop(pk, FIRST_PAUSE_SECONDS / 2) * 2, LONGEST_PAUSE_SECONDS)
        self._pauses[pk], self._due[pk] = pause, time.monotonic() + pause
        if len(self._pauses) > REMEMBERED:
            self.forget(next(iter(self._pauses)))
        return first

    def forget(self, pk: int) -> None:
        self._pauses.pop(pk, None)
        self._due.pop(pk, None)

    def waiting(self) -> list[int]:
        """The attempts whose pause is not over."""
        now = time.monotonic()
        return [pk for pk, due in self._due.items() if due > now]


_patience = Patience()


def sweep() -> int:
    """A loop's round: remove the files of interrupted attempts; answers how many were swept.

    ``SWEEP_AFTER_SECONDS`` after their end, because a worker that has lost its run may be storing
    outputs still. Several workers may sweep at the same time: removing a file twice does no harm,
    and an attempt is marked by one of them.
    """
    storage, swept, failures = output_storage(), 0, 0
    for attempt in _due():
        if _sweep(storage, attempt):
            swept += _mark(attempt)
            continue
        failures += 1
        if failures >= FAILURES:
            break
    return swept


def _due() -> list[Any]:
    unswept = Attempt.objects.filter(
        swept_at__isnull=True, ended_at__lt=from_now(-conf.SWEEP_AFTER_SECONDS)
    )
    return list(
        unswept.exclude(pk__in=_patience.waiting())
        .select_related("run")
        .only("number", "run__outputs", "run__outputs_pruned_at", "run__finished_at")
        .order_by("ended_at")[:BATCH]
    )


def _sweep(storage: Storage, attempt: Any) -> bool:
    """Whether nothing of an attempt is left; a failure is logged once for each attempt."""
    try:
        left = _left_after(storage, attempt)
    except NotImplementedError:
        logger.warning("The storage cannot list its files: %s stays as it is.", attempt)
        return True
    except Exception:
        if _patience.failed(attempt.pk):
            logger.exception("What attempt %s left could not be swept.", attempt)
        return False
    if left:
        _patience.failed(attempt.pk)
    else:
        _patience.forget(attempt.pk)
    return not left


def _left_after(storage: Storage, attempt: Any) -> list[str]:
    """Remove an attempt's files; answers those that are still there.

    An interrupted attempt is never the one that ended its run. Should a manifest name one of its
    files all the same, that file stays.
    """
    folder, kept = attempt_folder(attempt.run_id, attempt.number), kept_paths(attempt.run)

    def strays() -> list[str]:
        return [path for path in files_in(storage, folder) if path not in kept]

    found = strays()
    # Some storages complain about a file that another worker has removed meanwhile.
    left = strays() if remove_all(storage, found) else []
    remove_empty_folders(storage, folder)
    if attempt.run.finished_at is not None:
        # Not before: another attempt may be about to make its own folder in it.
        remove_empty_folders(storage, run_folder(attempt.run_id))
    return left


def _mark(attempt: Any) -> int:
    crashpoint("sweep:begin")
    marked = Attempt.objects.filter(pk=attempt.pk, swept_at__isnull=True).update(swept_at=Now())
    crashpoint("sweep:committed")
    return marked
