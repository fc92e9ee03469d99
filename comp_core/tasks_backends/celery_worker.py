"""A Celery worker as one of ours: its row in the database, and a stop that loses no run.

Celery tells its main process only that it has to stop, while runs are executed in the processes
that it has forked. These hear of it from a pipe, which ends when the main process closes it.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from celery import signals

from comp_core.compat import task_backends
from comp_core.conf import conf
from comp_core.presence import Presence
from comp_core.process_state import stopping

# How long the row's thread may take to end; it may be waiting for the database.
JOIN_SECONDS = 5.0


class _MainProcess:
    """What the main process of a Celery worker keeps."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.reading, self.writing = -1, -1
        self.ended = threading.Event()
        self.presence: Presence | None = None
        self.row = threading.Thread()


_main = _MainProcess()


def connect() -> None:
    """Listen to Celery's signals; listening twice changes nothing."""
    for signal, receiver in (
        (signals.worker_init, _on_init),
        (signals.worker_process_init, _on_process_init),
        (signals.worker_ready, _on_ready),
        (signals.worker_shutting_down, _on_shutting_down),
        (signals.worker_shutdown, _on_shutdown),
    ):
        signal.connect(receiver, weak=False, dispatch_uid=f"comp_core.{receiver.__name__}")


def _on_init(sender: Any = None, **kwargs: Any) -> None:
    """In the main process, before it forks."""
    faults = [message for message in _backend().check() if message.is_serious()]
    if faults:
        # The only exception that Celery lets a receiver end the worker with.
        raise SystemExit("\n".join(str(fault) for fault in faults))
    _main.pid = os.getpid()
    _main.reading, _main.writing = os.pipe()


def _on_process_init(**kwargs: Any) -> None:
    """In each forked process: the main process alone may hold the pipe's writing end."""
    if os.getpid() == _main.pid:
        return  # the solo pool forks nothing, and says so by the same signal
    os.close(_main.writing)
    threading.Thread(target=_ask_at_end, args=(_main.reading,), name="stop", daemon=True).start()


def _ask_at_end(pipe: int) -> None:
    os.read(pipe, 1)
    stopping.ask()


def _on_ready(sender: Any = None, **kwargs: Any) -> None:
    """The sender is the consumer, whose pool and queues are known by now."""
    if not hasattr(_backend(), "app"):
        return  # Celery carries other tasks of the site, not our tickets
    queues = sorted(sender.app.amqp.queues.consume_from)
    _main.presence = Presence(queues=queues, slots=sender.pool.num_processes)
    _main.ended.clear()
    # Not here: a database that is away would keep the worker from its work.
    keep, ended = _main.presence.keep, _main.ended
    _main.row = threading.Thread(target=keep, args=(ended,), name="row", daemon=True)
    _main.row.start()


def _on_shutting_down(**kwargs: Any) -> None:
    """At SIGTERM. Pools of threads execute runs in this very process."""
    stopping.ask()
    if _main.writing >= 0:
        os.close(_main.writing)
        _main.writing = -1


def _on_shutdown(**kwargs: Any) -> None:
    _main.ended.set()
    if _main.presence is not None:
        _main.row.join(JOIN_SECONDS)
        _main.presence.leave()
        _main.presence = None


def _backend() -> Any:
    return task_backends[conf.TASK_BACKEND]
