"""Real worker processes on the database of the test that starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import pytest
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


class Live:
    """Starts workers on this test's own database.

    PostgreSQL's is shared with them as it is. SQLite's is in memory, so for this test it moves to
    a file, and back.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(directory),
            "COMP_TEST_MEDIA": str(settings.MEDIA_ROOT),
            "COMP_TEST_DB": "postgres" if connection.vendor == "postgresql" else "sqlite",
        }
        self.memory: Any = None
        self.name = connection.settings_dict["NAME"]
        if connection.vendor == "sqlite":
            self._move_to(directory / "live.sqlite3")
        else:
            url = urlsplit(os.environ["COMP_TEST_DATABASE_URL"])._replace(path=f"/{self.name}")
            self.environment["COMP_TEST_DATABASE_URL"] = urlunsplit(url)

    def _move_to(self, path: Path) -> None:
        connection.ensure_connection()
        self.memory, connection.connection = connection.connection, None
        connection.settings_dict["NAME"] = self.environment["COMP_TEST_SQLITE"] = str(path)
        connection.ensure_connection()
        self.memory.backup(connection.connection)

    def models(self) -> list[int]:
        """The model processes of this test's workers, and what these have started."""
        return models_running(self.directory)

    def stop(self) -> None:
        """End what still runs, and take the database back."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self.memory is not None:
            connection.close()
            connection.settings_dict["NAME"], connection.connection = self.name, self.memory

    def worker(self, *options: str) -> subprocess.Popen[bytes]:
        """Start ``comp_worker``."""
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "django", "comp_worker", *options],
            env=self.environment,
            cwd=ROOT,
            start_new_session=True,
        )
        self.processes.append(process)
        return process


def wait_until(condition: Callable[[], Any], *, seconds: float = 15) -> Any:
    """The first true answer of a condition; fails the test after so long."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return answer


def models_running(directory: Path) -> list[int]:
    """Processes of models whose scratch directories are in a directory, and what they started."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("TMPDIR", "").startswith(f"{directory}/")
            if ours and "COMP_RUN_MARK" in process.environ():
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def live(tmp_path: Path, transactional_db: None) -> Iterator[Live]:
    """Workers on this test's database; all are gone afterwards."""
    workers = Live(tmp_path)
    yield workers
    workers.stop()
