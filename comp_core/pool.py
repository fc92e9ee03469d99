"""Several worker processes under one: started, replaced when they die, stopped together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from types import FrameType

from django.conf import settings

logger = logging.getLogger("comp_core")

LOOK_SECONDS = 0.2
# A worker that dies sooner than this after its start is not replaced at once.
SETTLED_SECONDS = 5.0


class WorkerPool:
    """``size`` processes of ``comp_worker``; only the first may run the maintenance loops.

    They stop by themselves when this process is killed.
    """

    def __init__(self, *, size: int, queues: str, maintenance: bool) -> None:
        self.size = size
        self.queues = queues
        self.maintenance = maintenance
        self.stopping = False
        self.workers: dict[int, tuple[subprocess.Popen[bytes], float]] = {}

    def run(self) -> None:
        """Until SIGTERM or SIGINT; returns when all workers have ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while not self.stopping:
            for place in range(self.size):
                self._keep(place)
            time.sleep(LOOK_SECONDS)
        for worker, _ in self.workers.values():
            worker.wait()

    def _keep(self, place: int) -> None:
        worker, started = self.workers.get(place, (None, -SETTLED_SECONDS))
        if worker is not None and worker.poll() is None:
            return
        if time.monotonic() - started < SETTLED_SECONDS or self.stopping:
            return
        if worker is not None:
            logger.warning("A worker ended with status %s; starting another.", worker.returncode)
        successor = self._start(place)
        self.workers[place] = (successor, time.monotonic())
        if self.stopping:  # asked while this one was being started and not known yet
            successor.send_signal(signal.SIGTERM)

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "django", "comp_worker", "--queue", self.queues]
        command += ["--settings", settings.SETTINGS_MODULE, "--pool", str(os.getpid())]
        if place > 0 or not self.maintenance:
            command.append("--no-maintenance")
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        for worker, _ in self.workers.values():
            worker.send_signal(signal.SIGTERM)
