"""Outputs in Django's storage: the bytes under a path per attempt, the run keeps a manifest."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.db import InterfaceError, OperationalError
from django.utils.text import get_valid_filename

from comp_core.conf import conf
from comp_core.crashpoints import crashpoint
from comp_core.exceptions import OutputsNotStored, OutputsPruned
from comp_core.models import Run
from comp_core.outputs.files import (
    attempt_folder,
    files_in,
    output_storage,
    remove_all,
    remove_empty_folders,
    said_by,
)
from comp_core.outputs.transfer import HashedFile, Keeper

NAME_BYTES = 150

logger = logging.getLogger("comp_core")


def save_outputs(
    run: Run, entries: list[dict[str, Any]], directory: Path, *, between: Callable[[], object]
) -> list[dict[str, Any]]:
    """Store the files that the model's process wrote; answers the manifest.

    ``between`` is called after each file and, from a thread of its own, every
    ``HEARTBEAT_SECONDS`` meanwhile, so that a slow storage cannot cost the lease. Raises
    OutputsNotStored, in words for the user, when the storage fails; the log has the storage's
    own. Whatever the attempt has stored is removed then.
    """
    manifest: list[dict[str, Any]] = []
    with Keeper(between) as keeper:
        try:
            for number, entry in enumerate(entries, start=1):
                manifest.append(_save(run, number, entry, directory, keeper))
                between()
        except BaseException:
            _discard(run, manifest, entries)
            raise
    return manifest


def _save(
    run: Run, number: int, entry: dict[str, Any], directory: Path, keeper: Keeper
) -> dict[str, Any]:
    target = _target(run, number, entry)
    filename = _storable_name(str(entry["filename"]))
    # Only the number that the process chose is used of its answer: never a path of its own.
    source = directory / str(int(entry["file"]))
    with HashedFile(source, moved=keeper.moved) as file:
        path = _store(target, File(file, name=filename))
        keeper.moved()
        digest = file.sha256()
    kept: dict[str, Any] = {
        key: str(entry[key]) for key in ("title", "kind", "media_type", "alt") if key in entry
    }
    if not kept["media_type"]:
        kept["media_type"] = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return {
        "id": str(number),
        **kept,
        "filename": filename,
        "path": path,
        "size": source.stat().st_size,
        "sha256": digest,
    }


def _target(run: Run, number: int, entry: dict[str, Any]) -> str:
    filename = _storable_name(str(entry["filename"]))
    return f"{attempt_folder(run.pk, run.attempt)}/{number}-{filename}"


def _store(target: str, file: File[bytes]) -> str:
    """The path that the storage chose. Its errors are translated here, and nowhere else."""
    try:
        crashpoint("output:storing")
        path = output_storage().save(target, file)
        crashpoint("output:stored")
        return path
    except (OperationalError, InterfaceError):
        raise  # a storage in the database: no end can be written down either
    except Exception as error:
        logger.exception("STORAGES[%r] did not take %s.", conf.STORAGE, target)
        raise OutputsNotStored(
            f"The outputs could not be stored: {said_by(error)}; nothing was charged. "
            "Run it again later."
        ) from error


def _discard(run: Run, manifest: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
    """Remove what an attempt has stored; half a file, and one that storage renamed, too."""
    storage, folder = output_storage(), attempt_folder(run.pk, run.attempt)
    paths = {entry["path"] for entry in manifest}
    paths |= {_target(run, len(manifest) + 1, entry) for entry in entries[len(manifest) :][:1]}
    try:
        paths |= set(files_in(storage, folder))
    except NotImplementedError:
        pass  # then what we know of has to do
    except Exception:
        logger.exception("What an attempt left in %s could not be listed.", folder)
    remove_all(storage, sorted(paths))
    remove_empty_folders(storage, folder)


def _storable_name(name: str) -> str:
    """A file name that every storage takes; endings survive, path separators do not."""
    try:
        valid = get_valid_filename(name.strip(". "))
    except SuspiciousFileOperation:  # nothing of it is left
        return "output"
    # File systems count bytes, and some encodings take four for a letter.
    kept = valid.encode()[-NAME_BYTES:].decode(errors="ignore").lstrip(".")
    return kept or "output"


def delete_outputs(manifest: list[dict[str, Any]]) -> None:
    """Remove stored outputs; one that cannot be removed is logged and left."""
    remove_all(output_storage(), [entry["path"] for entry in manifest])


def open_output(run: Run, output_id: str) -> tuple[dict[str, Any], File[bytes]]:
    """The manifest entry and the open file. Raises LookupError for an id that the run has not.

    Raises OutputsPruned, a kind of FileNotFoundError, when retention has removed the files, and
    FileNotFoundError for one that is gone from the storage otherwise.
    """
    for entry in run.outputs:
        if entry["id"] == output_id:
            if run.outputs_pruned_at is not None:
                raise OutputsPruned
            return entry, output_storage().open(entry["path"], "rb")
    raise LookupError(output_id)
