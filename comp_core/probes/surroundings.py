"""What runs stand on: settings, clocks, storage, disk, and the interpreters of the models."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.functions import Now
from django.utils import timezone

from comp_core.conf import conf
from comp_core.declaration import ModelSpec
from comp_core.doctor import Finding, ok, problem, said, warning
from comp_core.jobs import environment, import_path, scratch_directory
from comp_core.registry import registered
from comp_core.secrecy import without_secrets

SKEW_SECONDS = 2
START_SECONDS = 60
LIBRARY = Path(__file__).resolve().parent.parent.parent
# Loads the functions just as a model's own process does (comp_core.launcher), and no more.
IMPORT = """
import json, sys
library, path, same, name = json.loads(sys.argv[1])
sys.path.insert(0, library)
from comp_core import child
del sys.path[0]
child.prepare_imports({"sys_path": path, "same_interpreter": same})
if not callable(getattr(child.load(name), "run", None)):
    sys.exit(name + " has no function run(inputs).")
"""


def settings() -> Iterator[Finding]:
    """The system checks, of which some need no error to be worth knowing."""
    messages = [message for message in checks.run_checks() if not message.is_silenced()]
    for message in messages:
        judge = problem if message.level >= checks.ERROR else warning
        if message.level >= checks.WARNING:
            yield judge(f"{message.id}: {message.msg}", str(message.hint or "See manage.py check."))
    if not any(message.level >= checks.WARNING for message in messages):
        yield ok("The system checks find nothing wrong with the settings.")


def clock() -> Iterator[Finding]:
    """The database's clock, which decides, and the one of this machine."""
    before = timezone.now()
    rows = MigrationRecorder.Migration.objects.annotate(db_now=Now()).values_list("db_now")
    row = rows.first()
    if row is None:
        return
    between = before + (timezone.now() - before) / 2
    skew = abs((row[0] - between).total_seconds())
    if skew > SKEW_SECONDS:
        what = f"The clocks of this machine and of the database are {skew:.0f} seconds apart."
        yield warning(what, "Have both set by a time server.")
    else:
        yield ok("The clocks of this machine and of the database agree.")


def storage() -> Iterator[Finding]:
    """The storage of outputs takes a small file, gives it back and forgets it."""
    where, content = f"STORAGES[{conf.STORAGE!r}]", uuid.uuid4().hex.encode()
    name, step = "", "written"
    try:
        kept = storages[conf.STORAGE]
        name = kept.save(f"doctor/{uuid.uuid4()}.txt", ContentFile(content))
        step = "read"
        with kept.open(name, "rb") as file:
            same = file.read() == content
        step = "deleted"
        kept.delete(name)
        gone = not kept.exists(name)
    except Exception as error:
        what = f"{where} is not usable: a file could not be {step}. {said(error)}"
        yield problem(what, "Correct its settings, its permissions, or make room.")
        _forget(name)
        return
    if same and gone:
        yield ok(f"A file could be written to {where}, read and deleted.")
    else:
        fault = "keeps a file that was deleted" if same else "gives back other bytes than it got"
        yield problem(f"{where} {fault}.", "Outputs need a storage that is true to its files.")


def _forget(name: str) -> None:
    if name:
        with contextlib.suppress(Exception):  # the finding has been made already
            storages[conf.STORAGE].delete(name)


def scratch() -> Iterator[Finding]:
    """Models have room to work in."""
    folder = tempfile.gettempdir()
    free, needed = shutil.disk_usage(folder).free, conf.MAX_RUN_OUTPUT_BYTES
    words = f"{free / 2**30:.1f} GiB are free in {folder}, where models work"
    if free < needed:
        todo = "Make room, or set TMPDIR of the workers to a larger disk."
        yield warning(f"{words}; one run may write {needed / 2**30:.1f} GiB.", todo)
    else:
        yield ok(f"{words}.")


def models() -> Iterator[Finding]:
    """Each model's interpreter starts and can import its functions."""
    for spec in registered().values():
        fault = _fault_of(spec)
        if fault:
            todo = f"Look at Comp.python and Comp.functions of {spec.slug}, or COMP_CORE['PYTHON']."
            yield problem(f"The model {spec.slug} cannot be started: {fault}", todo)
        else:
            yield ok(f"The functions of {spec.slug} can be imported by {spec.interpreter}.")


def _fault_of(spec: ModelSpec) -> str:
    """The last line of what went wrong; empty when the import succeeds."""
    path, same = import_path(spec.interpreter), spec.interpreter == sys.executable
    job = json.dumps([str(LIBRARY), path, same, spec.functions])
    with scratch_directory() as folder:
        try:
            done = subprocess.run(
                [spec.interpreter, "-c", IMPORT, job],
                cwd=folder.working,
                env=environment(folder, uuid.uuid4().hex),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=START_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return said(error)
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    if done.returncode == 0:
        return ""
    return without_secrets(lines[-1]) if lines else f"exit status {done.returncode}"
