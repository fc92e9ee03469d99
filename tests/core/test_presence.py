"""Rows of workers: who serves which queue, how much, and since when nothing was heard."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from comp_core import presence
from comp_core.db import from_now
from comp_core.models import Worker
from comp_core.presence import Presence, slots_for, worker_seen_recently
from tests.core.live import Live, live, wait_until

__all__ = ["live"]

pytestmark = pytest.mark.django_db(transaction=True)


def worker(queues: str, *, slots: int = 1, age: int = 0) -> None:
    """A row that was refreshed so many seconds ago."""
    Worker.objects.create(
        id=queues, queues=queues, slots=slots, started_at=Now(), seen_at=from_now(-age)
    )


@pytest.mark.parametrize(
    ("queues", "age", "seen"),
    [("*", 0, True), ("gpu", 0, True), ("*", 121, False), ("", 0, False), ("checks", 0, False)],
)
def test_worker_seen(queues: str, age: int, seen: bool) -> None:
    """A worker counts when it executes runs and was there within two minutes."""
    worker(queues, age=age)
    assert worker_seen_recently() is seen


@pytest.mark.parametrize(
    ("queues", "seen"),
    [
        ("*", True),
        ("gpu", True),
        ("gpu,default", True),
        ("default,gpu", True),
        ("a,gpu,b", True),
        ("gpu-large", False),
        ("large-gpu,a", False),
        ("", False),
    ],
)
def test_worker_of_a_queue(queues: str, seen: bool) -> None:
    """The whole name counts."""
    worker(queues)
    assert worker_seen_recently("gpu") is seen


def test_slots() -> None:
    """Those of the workers of a queue that are there."""
    worker("*", slots=2), worker("gpu,a", slots=3), worker("a", slots=4), worker("gpu", age=121)
    assert (slots_for("gpu"), slots_for("a"), slots_for("none")) == (5, 9, 2)


def test_many_queues() -> None:
    """More names than the row can hold: it serves all, rather than some only."""
    Presence(queues=[f"queue-{number}" for number in range(50)], slots=1).announce()
    assert Worker.objects.get().queues == "*"


def test_announced_twice() -> None:
    """The row stays one, and its start."""
    Presence(queues=["a"], slots=1).announce()
    started = Worker.objects.get().started_at
    Presence(queues=["a"], slots=2).announce()
    row = Worker.objects.get()
    assert (row.started_at, row.slots) == (started, 2)


def test_a_row_that_is_kept(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refreshed, made again when somebody removed it, and takes forgotten ones along."""
    monkeypatch.setattr(presence, "ROW_SECONDS", 0.05)
    worker("forgotten", age=86_401)
    until = threading.Event()
    ours = Presence(queues=["a"], slots=1)
    thread = threading.Thread(target=ours.keep, args=(until,))
    thread.start()
    wait_until(lambda: list(Worker.objects.values_list("queues", flat=True)) == ["a"])
    Worker.objects.all().delete()
    wait_until(Worker.objects.exists)
    until.set()
    thread.join()
    ours.leave()
    assert Worker.objects.count() == 0


def test_a_database_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that cannot refresh or remove its row goes on, and says so."""
    until = threading.Event()

    def away() -> Any:
        until.set()
        raise OperationalError("gone")

    monkeypatch.setattr(presence, "ROW_SECONDS", 0.01)
    monkeypatch.setattr(presence, "_workers", away)
    monkeypatch.setattr(presence.connections, "close_all", lambda: None)
    ours = Presence(queues=["a"], slots=1)
    ours.keep(until)
    ours.leave()
    told = [record.message for record in caplog.records if record.name == "comp_core"]
    assert told == [
        "The worker could not refresh its row: gone",
        "The worker could not remove its row: gone",
    ]
