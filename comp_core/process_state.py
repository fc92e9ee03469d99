"""This process as a worker: its name, and whether it has been asked to stop."""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
import uuid

from comp_core.conf import conf


@functools.cache
def _name_of(process: int) -> str:
    return f"{socket.gethostname()[:40]}:{process}:{uuid.uuid4().hex[:8]}"


def worker_id() -> str:
    """A name for this process, unique across hosts; another one after a fork."""
    return _name_of(os.getpid())


class Stopping:
    """A request to stop: runs may end within a grace period, then they are given back."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.give_back_at = float("inf")

    def ask(self) -> None:
        """Called by signal handlers. The second request ends the grace period."""
        grace = 0.0 if self.event.is_set() else conf.SHUTDOWN_SECONDS
        self.give_back_at = time.monotonic() + grace
        self.event.set()

    @property
    def asked(self) -> bool:
        return self.event.is_set()

    @property
    def overdue(self) -> bool:
        """Whether a run that is still going must be given back now."""
        return time.monotonic() >= self.give_back_at


stopping = Stopping()
