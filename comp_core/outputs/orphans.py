"""Files in storage that belong to nothing: found by walking the whole tree, at an operator's wish.

Such as those of a run that failed while its worker could not clean up. A walk compares what is in
storage with this database: it must not be pointed at another site's storage.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.core.files.storage import Storage
from django.utils import timezone

from comp_core.conf import conf
from comp_core.exceptions import CompError
from comp_core.models import Run
from comp_core.outputs.files import (
    ROOT,
    Tally,
    Tell,
    files_in,
    kept_paths,
    output_storage,
    remove,
    remove_empty_folders,
    run_folder,
    silent,
    stored_size,
)

BATCH = 500

logger = logging.getLogger("comp_core")


def sweep_orphans(*, dry_run: bool = False, tell: Tell = silent) -> Tally:
    """Remove every file under ``runs/`` that no run names and that is old enough.

    Of a run that has ended, what its manifest does not name; of one under way, the files of its
    earlier attempts; of a run that is not in the database, all. Nothing that changed within
    ``SWEEP_AFTER_SECONDS``, and nothing of a run whose own files the storage does not list: they
    may be there under names that it spells in another way. Raises CompError for a storage that
    cannot list its files, and when it knows runs and this database not one of them.
    """
    storage, tally = output_storage(), Tally()
    try:
        batches = list(_batches(storage))
    except NotImplementedError as error:
        raise CompError("This storage cannot list its files, so no orphans are found.") from error
    _refuse_a_strange_storage(batches)
    for batch in batches:
        runs = {run.pk: run for run in _known(batch)}
        for run_id in batch:
            _sweep_run(storage, run_id, runs.get(run_id), tally, dry_run=dry_run)
            tell(tally)
    return tally


def _batches(storage: Storage) -> Iterator[list[uuid.UUID]]:
    try:
        folders, _ = storage.listdir(ROOT)
    except FileNotFoundError:
        return
    found = [run_id for name in folders if (run_id := _run_id(name.strip("/")))]
    for start in range(0, len(found), BATCH):
        yield found[start : start + BATCH]


def _run_id(name: str) -> uuid.UUID | None:
    """The run that a folder belongs to; None for a folder that is not ours."""
    try:
        run_id = uuid.UUID(name)
    except ValueError:
        return None
    return run_id if str(run_id) == name else None


def _known(batch: list[uuid.UUID]) -> Any:
    return Run.objects.filter(pk__in=batch).only(
        "status", "attempt", "outputs", "outputs_pruned_at", "finished_at"
    )


def _refuse_a_strange_storage(batches: list[list[uuid.UUID]]) -> None:
    if batches and not any(_known(batch).exists() for batch in batches):
        number = sum(len(batch) for batch in batches)
        raise CompError(
            f"The storage has files of {number} runs, and this database knows none of them:"
            " one of the two is another site's. Nothing was removed."
        )


def _sweep_run(
    storage: Storage, run_id: uuid.UUID, run: Any, tally: Tally, *, dry_run: bool
) -> None:
    try:
        found = [path for path in _strays(storage, run_id, run) if _is_old(storage, path, run)]
    except Exception:
        logger.exception("The files of run %s could not be looked at.", run_id)
        tally.failed += 1
        return
    for path in found:
        size = stored_size(storage, path)
        if dry_run or remove(storage, path):
            tally.files, tally.bytes = tally.files + 1, tally.bytes + size
        else:
            tally.failed += 1
    tally.rows += bool(found)
    if not dry_run and (run is None or run.is_finished):
        remove_empty_folders(storage, run_folder(run_id))


def _strays(storage: Storage, run_id: uuid.UUID, run: Any) -> Iterator[str]:
    kept = kept_paths(run) if run is not None else set()
    listed = set(files_in(storage, run_folder(run_id)))
    if listed - kept and kept - listed:
        raise CompError(f"It lists other files than {min(kept - listed)}, which is the run's.")
    for path in sorted(listed - kept):
        if run is None or run.is_finished or _is_over(path, run):
            yield path


def _is_over(path: str, run: Any) -> bool:
    """Whether a file is of an earlier attempt than that which we know of, or a later one yet."""
    number = path.split("/")[2]
    return number.isdecimal() and int(number) < run.attempt


def _is_old(storage: Storage, path: str, run: Any) -> bool:
    """By the storage's clock; where it keeps no times, by the end of the run."""
    limit = timezone.now() - timedelta(seconds=conf.SWEEP_AFTER_SECONDS)
    try:
        return storage.get_modified_time(path) < limit
    except NotImplementedError:
        return run is None or (run.finished_at is not None and run.finished_at < limit)
    except FileNotFoundError:
        return False
