"""Real workers that are killed, stopped and cut off, on the database of the test."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from comp_billing.models import UsageRecord
from comp_core import lifecycle
from comp_core.models import Attempt, Run
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_core.status import InputsStatus
from comp_core.worker import work_until_idle
from comp_users.models import Profile, Project
from tests.core.live import ROOT, Live, wait_until
from tests.faults import audit, ledger, upkeep, world
from tests.testapp.models import UnrulyInputs

CORE = {
    "METER": "comp_billing.metering.StripeMeter",
    "LEASE_SECONDS": 3,
    "HEARTBEAT_SECONDS": 0.3,
    "MAINTENANCE_SECONDS": 0.2,
    "WORKER_POLL_SECONDS": 0.05,
    "MAX_ATTEMPTS": 30,
}
MAIN = "tests.faults.worker_main"
# A process starts in less; a machine that does much else besides needs more.
PATIENCE = 120


class Scene:
    """A billed model that sleeps, its owner, and workers to do harm to."""

    def __init__(self, live: Live, owner: Profile) -> None:
        self.live, self.owner = live, owner

    def run(self, seconds: float, *, behaviour: str = "sleeps") -> Run:
        """A queued run of a model that sleeps for so long."""
        inputs = UnrulyInputs.objects.create(
            owner=self.owner, behaviour=behaviour, amount=seconds, status=InputsStatus.VALID
        )
        return lifecycle.submit(inputs)

    def worker(self, *options: str, **armed: str) -> subprocess.Popen[bytes]:
        """A worker in a process group of its own; ``armed``: a point, and the action there."""
        given = {"core": CORE, "billing": settings.COMP_BILLING, **armed}
        process = subprocess.Popen(
            [*(sys.executable, "-W", "ignore", "-m"), MAIN, json.dumps(given), *options],
            env=self.live.environment,
            cwd=ROOT,
            start_new_session=True,
        )
        self.live.processes.append(process)
        return process

    def running(self, run: Run) -> Run:
        """The run, once a model works on it."""
        same = Run.objects.filter(pk=run.pk, status="running")
        found: Run = wait_until(lambda: self.live.models() and same.first(), seconds=PATIENCE)
        return found

    def stored(self, run: Run) -> list[str]:
        """What storage holds of a run already."""
        return [path for path in world.stored_files() if str(run.pk) in path]

    def ended(self, *runs: Run) -> None:
        """Wait until they have."""
        pks = [run.pk for run in runs]
        under_way = Run.objects.filter(pk__in=pks, finished_at__isnull=True)
        wait_until(lambda: not under_way.exists(), seconds=PATIENCE)

    def drain(self) -> None:
        """Nobody waits for leases or lost tickets; what is left is worked off here and now."""
        expire_all()
        upkeep.mend()
        work_until_idle()

    def holder(self, run: Run, *workers: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Which of these workers has a run that runs; its name holds its process id."""
        pid = run.worker_id.split(":")[1]
        return next(worker for worker in workers if str(worker.pid) == pid)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """SIGKILL for a worker and, at the same moment, for the models it has started."""
        models = self.live.models()
        os.killpg(process.pid, signal.SIGKILL)
        for pid in models:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.wait()

    def freeze(self, process: subprocess.Popen[bytes], run: Run) -> None:
        """SIGSTOP for a worker, where it holds no lock.

        One that stops in the middle of a transaction keeps everybody waiting, until it goes on:
        on SQLite all who write, on PostgreSQL those who want its rows.
        """

        def stopped() -> bool:
            os.killpg(process.pid, signal.SIGSTOP)
            there = psutil.Process(process.pid)
            wait_until(lambda: there.status() == psutil.STATUS_STOPPED, seconds=PATIENCE)
            if unlocked(run):
                return True
            os.killpg(process.pid, signal.SIGCONT)
            return False

        wait_until(stopped, seconds=PATIENCE)

    def books(self) -> list[ledger.Finding]:
        """What is wrong, once what was interrupted has been swept: with the ledger, with the bytes
        that are stored, with what still runs."""
        upkeep.sweep()
        evidence = ledger.Evidence([], {}, audit.read(), {}, 0, True, False)
        found = [*ledger.books(evidence), *map(bytes_missing, Run.objects.all())]
        left = [("stuck", f"{len(self.live.models())} models run on")] * bool(self.live.models())
        return [finding for finding in found if finding is not None] + left


def unlocked(run: Run) -> bool:
    """Whether nobody else holds what ends this run; asked without waiting."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA busy_timeout")
            (usual,) = cursor.fetchone()
            cursor.execute("PRAGMA busy_timeout = 0")
        try:
            with transaction.atomic():
                locked = {"of": ("self",), "nowait": True}
                Run.objects.select_for_update(**locked).get(pk=run.pk)
                list(Attempt.objects.select_for_update(**locked).filter(run=run.pk))
        except OperationalError:
            return False
        finally:
            if connection.vendor == "sqlite":
                cursor.execute(f"PRAGMA busy_timeout = {usual}")
    return True


def bytes_missing(run: Run) -> ledger.Finding | None:
    """The stored files are those of the manifest, to the byte, and no others."""
    for entry in run.outputs:
        with default_storage.open(entry["path"]) as file:
            if hashlib.sha256(file.read()).hexdigest() != entry["sha256"]:
                return ("wrong", f"{entry['path']} holds other bytes")
    listed = {entry["path"] for entry in run.outputs}
    stored = {path for path in world.stored_files() if str(run.pk) in path}
    return None if listed == stored else ("stuck", f"files left: {sorted(stored - listed)}")


def results(*runs: Run) -> list[tuple[str, int]]:
    """How each run stands, and how often it was billed."""
    records = Counter(UsageRecord.objects.values_list("run", flat=True))
    stored = {run.pk: run.status for run in Run.objects.all()}
    return [(stored[run.pk], records[run.pk]) for run in runs]


def delay(run: Run, *, since: Any) -> float:
    """Seconds from a moment to the end of the run's first attempt, by the database's clock."""
    ended: Any = Attempt.objects.filter(run=run.pk).order_by("number").first()
    return float((ended.ended_at - since).total_seconds())


def expire_all() -> None:
    """Nobody waits for leases."""
    Run.objects.filter(status="running").update(lease_expires_at=Now())


def cut_everybody() -> None:
    """End every other connection to this database, as a restart of the server does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture
def scene(live: Live, settings: Any, tmp_path: Path) -> Iterator[Scene]:
    """The unruly model on offer, to be paid for."""
    project_for(get_spec("unruly"))
    Project.objects.filter(slug="unruly").update(is_public=True)
    with world.built() as profiles:
        settings.COMP_CORE = CORE
        yield Scene(live, profiles[0])
