"""What a model's process is told: the job file, its scratch directory and its environment."""

from __future__ import annotations

import json
import logging
import marshal
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any, Literal
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.db.models.fields.files import FieldFile

from comp_core.conf import conf
from comp_core.declaration import ModelSpec
from comp_core.exceptions import InputsNotRead
from comp_core.models import CoreInputs
from comp_core.outputs.files import said_by
from comp_core.outputs.transfer import CHUNK_BYTES

Task = Literal["run", "check"]

logger = logging.getLogger("comp_core")

# Passed on to models; everything else (keys, passwords, database addresses) stays with the site.
HARMLESS = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"),
        *("JAVA_HOME", "R_HOME", "R_LIBS", "JULIA_DEPOT_PATH", "CUDA_VISIBLE_DEVICES"),
        *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    }
)
HARMLESS_PREFIXES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "NUMBA_", "XDG_")


@dataclass(frozen=True)
class Scratch:
    """A run's own directory: removed with everything in it when the run ends."""

    root: Path

    @property
    def working(self) -> Path:
        return self.root / "work"

    @property
    def inputs(self) -> Path:
        return self.root / "inputs"

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"


@contextmanager
def scratch_directory() -> Iterator[Scratch]:
    """Raises OSError when there is no room for it."""
    # A model may leave files that it has made unreadable; they must not fail its run.
    with tempfile.TemporaryDirectory(prefix="comp-run-", ignore_cleanup_errors=True) as name:
        scratch = Scratch(Path(name))
        for part in (scratch.working, scratch.inputs, scratch.outputs, scratch.temporary):
            part.mkdir()
        yield scratch


def write_job(
    task: Task,
    spec: ModelSpec,
    inputs: CoreInputs,
    scratch: Scratch,
    *,
    moved: Callable[[], object],
) -> Path:
    """Write the job file of a run or a check; copies uploaded files into the scratch directory.

    ``moved`` is called after each piece of a file. Raises InputsNotRead when a storage fails.
    """
    job = {
        "task": task,
        "functions": spec.functions,
        "inputs": encode_inputs(inputs, scratch.inputs, moved=moved),
        "same_interpreter": spec.interpreter == sys.executable,
        "sys_path": import_path(spec.interpreter),
        "worker_pid": os.getpid(),
        "output_directory": str(scratch.outputs),
        "max_output_bytes": conf.MAX_OUTPUT_BYTES,
        "max_run_output_bytes": conf.MAX_RUN_OUTPUT_BYTES,
        "address_space_bytes": conf.ADDRESS_SPACE_BYTES,
    }
    path = scratch.root / "job"
    # Python's own reader of JSON takes longer to load than the whole child. Marshal is safe here
    # because nobody else writes this file, and version 2 of it is the same for every Python 3.
    path.write_bytes(marshal.dumps(job, 2))
    return path


def import_path(interpreter: str) -> list[str]:
    """Where the project's modules are. Another interpreter keeps its own libraries to itself."""
    entries = [os.path.abspath(entry) for entry in sys.path]
    if interpreter == sys.executable:
        return entries
    ours = tuple({f"{sys.prefix}/", f"{sys.base_prefix}/"})
    return [entry for entry in entries if not f"{entry}/".startswith(ours)]


def environment(scratch: Scratch, mark: str) -> dict[str, str]:
    """The model's environment variables; ``mark`` lets us find everything that it has started."""
    extra = frozenset(conf.MODEL_ENVIRONMENT)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in HARMLESS or name in extra or name.startswith(HARMLESS_PREFIXES)
    }
    return {**kept, "TMPDIR": str(scratch.temporary), "COMP_RUN_MARK": mark}


@dataclass(frozen=True)
class Uploads:
    """Where the uploaded files of some inputs are copied to."""

    inputs: CoreInputs
    directory: Path
    moved: Callable[[], object]

    def copy(self, file: FieldFile, name: str) -> str:
        """Copy a parameter's file under the name that its user gave it; answers the path."""
        given = str(self.inputs.adjustment.get(name) or file.name)
        folder = self.directory / name
        folder.mkdir()
        target = folder / (PurePath(given).name or "file")
        with target.open("wb") as copy:
            for data in self._pieces(file, name):
                copy.write(data)
        return str(target)

    def _pieces(self, file: FieldFile, name: str) -> Iterator[bytes]:
        try:
            with file.open("rb") as source:
                while data := source.read(CHUNK_BYTES):
                    self.moved()
                    yield data
        except (OperationalError, InterfaceError):
            raise  # a storage in the database: no end can be written down either
        except Exception as error:
            logger.exception("The upload %s could not be read from its storage.", file.name)
            raise InputsNotRead(
                f"The file of the parameter {name!r} could not be read: {said_by(error)}"
            ) from error


def encode_inputs(
    inputs: CoreInputs, directory: Path, *, moved: Callable[[], object]
) -> dict[str, tuple[str, Any]]:
    """{name: (kind, value)} of the parameters, as ``comp_core.child`` decodes them."""
    uploads = Uploads(inputs, directory, moved)
    return {
        field.name: _encode(getattr(inputs, field.attname), field.name, uploads)
        for field in inputs.parameter_fields()
    }


# The first that fits; a datetime is a date too, so it stands before it.
ENCODERS: list[tuple[type, str, Callable[[Any], Any]]] = [
    (datetime, "datetime", datetime.isoformat),
    (date, "date", date.isoformat),
    (time, "time", time.isoformat),
    (timedelta, "seconds", timedelta.total_seconds),
    (Decimal, "decimal", str),
    (UUID, "uuid", str),
]

# These need no encoding; their subclasses, such as Django's safe text, become them in JSON.
PLAIN = (str, int, float, bool, type(None))


def _encode(value: Any, name: str, uploads: Uploads) -> tuple[str, Any]:
    if isinstance(value, FieldFile):
        return ("file", uploads.copy(value, name)) if value else ("plain", None)
    for kind, word, encode in ENCODERS:
        if isinstance(value, kind):
            return word, encode(value)
    if isinstance(value, list):  # such as PostgreSQL's arrays
        return "list", [_encode(item, name, uploads) for item in value]
    if type(value) in PLAIN:
        return "plain", value
    try:
        return "json", json.dumps(value)
    except (TypeError, ValueError, RecursionError) as error:
        text = f"The parameter {name!r} holds what cannot be handed to a model: {error}."
        raise TypeError(text) from error
