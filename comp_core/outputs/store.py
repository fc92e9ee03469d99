"""Outputs in Django's storage: the bytes under a path per attempt, the run keeps a manifest."""

from __future__ import annotations

import hashlib
import logging
import mimetypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.utils.text import get_valid_filename

from comp_core.conf import conf
from comp_core.models import Run

NAME_BYTES = 150

logger = logging.getLogger("comp_core")


def output_storage() -> Storage:
    return storages[conf.STORAGE]


def save_outputs(
    run: Run, entries: list[dict[str, Any]], directory: Path, *, between: Callable[[], None]
) -> list[dict[str, Any]]:
    """Store the files that the model's process wrote; answers the manifest.

    ``between`` is called after each file, so that a slow storage cannot cost the lease. Whatever
    was stored is removed again when one of them fails; the storage's error is raised.
    """
    manifest: list[dict[str, Any]] = []
    try:
        for number, entry in enumerate(entries, start=1):
            manifest.append(_save(run, number, entry, directory))
            between()
    except BaseException:
        delete_outputs(manifest)
        raise
    return manifest


def _save(run: Run, number: int, entry: dict[str, Any], directory: Path) -> dict[str, Any]:
    filename = _storable_name(str(entry["filename"]))
    target = f"runs/{run.pk}/{run.attempt}/{number}-{filename}"
    # Only the number that the process chose is used of its answer: never a path of its own.
    with (directory / str(int(entry["file"]))).open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        path = output_storage().save(target, File(file, name=filename))
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
        "size": size,
        "sha256": digest,
    }


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
    for entry in manifest:
        try:
            output_storage().delete(entry["path"])
        except Exception:
            logger.exception("The output %s could not be removed.", entry["path"])


def open_output(run: Run, output_id: str) -> tuple[dict[str, Any], File[bytes]]:
    """The manifest entry and the open file. Raises LookupError for an id that the run has not.

    A file that is gone from the storage raises FileNotFoundError.
    """
    for entry in run.outputs:
        if entry["id"] == output_id:
            return entry, output_storage().open(entry["path"], "rb")
    raise LookupError(output_id)
