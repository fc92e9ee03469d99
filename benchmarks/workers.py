"""Worker processes on a database that is measured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.databases import Copy
from comp_core.conf import conf

ROOT = Path(__file__).resolve().parent.parent
LOOK_SECONDS = 0.002
SETTINGS = ["--settings", "benchmarks.settings"]


@contextmanager
def working(copy: Copy, *command: str) -> Iterator[None]:
    """A management command that works until it is stopped."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "django", *command, *SETTINGS],
        env={**copy.environment(), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextmanager
def comp_worker(copy: Copy) -> Iterator[None]:
    """The library's worker with all its loops, for the runs of the models."""
    with working(copy, "comp_worker", "--queue", "default"):
        yield


@contextmanager
def bare_worker(copy: Copy, queue: str) -> Iterator[None]:
    """The bare engine's own worker, which looks as often as the library's does."""
    pause = str(conf.WORKER_POLL_SECONDS)
    options = ("--queue-name", queue, "--interval", pause, "--no-startup-delay", "-v", "0")
    with working(copy, "db_worker", *options):
        yield


def wait_for(condition: Callable[[], Any], *, seconds: float = 120) -> None:
    """Until it is true, looking often enough not to blur milliseconds much."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("A worker did not do its work in time.")
        time.sleep(LOOK_SECONDS)
