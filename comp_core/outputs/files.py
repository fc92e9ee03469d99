"""The outputs' storage and its folders: ``runs/<run>/<attempt>/``, of which each attempt has one.

Storages differ: some have no folders, some cannot list, some answer ``exists`` late or wrongly.
So nothing here asks whether a file exists.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from django.core.files.storage import Storage, storages

from comp_core.conf import conf
from comp_core.crashpoints import crashpoint
from comp_core.models import Run

ROOT = "runs"

logger = logging.getLogger("comp_core")


@dataclass
class Tally:
    """What was removed, or would be: rows, and files with their bytes.

    A row counts when it is done with; ``failed`` counts what could not be removed.
    """

    rows: int = 0
    files: int = 0
    bytes: int = 0
    failed: int = 0


# Hears the tally as it grows.
Tell = Callable[[Tally], object]


def silent(tally: Tally) -> None:
    """Tells nobody."""


def output_storage() -> Storage:
    return storages[conf.STORAGE]


def run_folder(run_id: uuid.UUID | str) -> str:
    return f"{ROOT}/{run_id}"


def attempt_folder(run_id: uuid.UUID, number: int) -> str:
    """Where one attempt stores its outputs. Numbers are not used again, so nobody else does."""
    return f"{run_folder(run_id)}/{number}"


def kept_paths(run: Run) -> set[str]:
    """The files that a run's manifest names and that retention has not taken."""
    if run.outputs_pruned_at is not None:
        return set()
    return {entry["path"] for entry in run.outputs}


def files_in(storage: Storage, folder: str) -> Iterator[str]:
    """The paths of all files under a folder; none when there is no such folder.

    Raises NotImplementedError for a storage that cannot list its files.
    """
    try:
        folders, files = storage.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    # Some buckets list the folder itself as a file without a name.
    yield from (f"{folder}/{name}" for name in files if name not in ("", "."))
    for name in folders:
        yield from files_in(storage, f"{folder}/{name.strip('/')}")


def remove(storage: Storage, path: str) -> bool:
    """Remove one file; False, and the reason in the log, when it could not be removed."""
    try:
        crashpoint("output:deleting")
        storage.delete(path)
    except FileNotFoundError:
        return True
    except Exception:
        logger.exception("The file %s could not be removed from its storage.", path)
        return False
    return True


def remove_all(storage: Storage, paths: Iterable[str]) -> int:
    """Remove files; answers how many could not be removed."""
    return sum(not remove(storage, path) for path in paths)


def remove_empty_folders(storage: Storage, folder: str) -> None:
    """On a file system, remove a folder and those in it as far as they are empty.

    Through the system's own call, which refuses a folder that has something in it: some storages'
    ``delete`` takes everything inside along.
    """
    try:
        top = storage.path(folder)
    except NotImplementedError:
        return
    for path, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            os.rmdir(path)


def said_by(error: Exception) -> str:
    """A storage's error for its user: its own words may name paths, buckets and keys, which are
    no business of theirs; the system's words, such as for a full disk, are."""
    said = error.strerror if isinstance(error, OSError) else None
    return said or f"the storage answered with {type(error).__name__}"


def stored_size(storage: Storage, path: str) -> int:
    """The bytes of a stored file; 0 when the storage does not say."""
    try:
        return storage.size(path)
    except Exception:  # only a figure for people
        return 0
