"""Maintenance loops: of all workers one carries out a round, and what became of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from comp_core import maintenance
from comp_core.db import from_now
from comp_core.maintenance import Loop, MaintenanceThreads, register_loop, take_turn
from comp_core.models import MaintenanceLoop
from tests.core.live import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def loop(seconds: float = 60) -> Loop:
    """A loop that does nothing."""
    return Loop("tests.nothing", lambda: None, seconds, everywhere=False)


def test_the_first_round_is_due_at_once() -> None:
    """A loop that nobody has carried out yet is ours."""
    assert take_turn(loop()) == 0


def test_one_worker_has_the_turn() -> None:
    """Whoever asks within the pause is told how long to wait, at most the pause."""
    take_turn(loop())
    assert 50 < take_turn(loop()) <= 60


def test_the_turn_comes_again() -> None:
    """After the pause the round is anybody's, whatever became of the worker that had the last."""
    take_turn(loop())
    MaintenanceLoop.objects.update(due_at=from_now(-1))
    assert take_turn(loop()) == 0


def test_a_pause_that_was_shortened() -> None:
    """Nobody waits longer than the pause that is now in force."""
    take_turn(loop(3600))
    assert take_turn(loop(5)) == 5


def run_rounds(monkeypatch: pytest.MonkeyPatch, until: Callable[[], Any], **options: Any) -> None:
    """Two workers' threads on one loop, until a condition holds."""
    monkeypatch.setattr(maintenance, "_loops", {})
    register_loop("tests.loop", options.pop("function"), **options)
    workers = [MaintenanceThreads(), MaintenanceThreads()]
    for worker in workers:
        worker.start()
    wait_until(until)
    for worker in workers:
        worker.stop(seconds=5)


def test_what_became_of_a_round_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operators see which loop fails: the kind of the error, never its text."""

    def fail() -> None:
        raise LookupError("ada@example.org")

    failed = MaintenanceLoop.objects.filter(error_type="LookupError", finished_at__lte=Now())
    run_rounds(monkeypatch, failed.exists, function=fail, seconds=60)
    assert "ada" not in str(MaintenanceLoop.objects.values().get())


def test_two_workers_share_the_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a long pause the second worker has none; work that can be shared is done by both."""
    one, all_of_them, shared = [], [], MaintenanceLoop.objects.filter(finished_at__isnull=False)
    run_rounds(monkeypatch, shared.exists, function=lambda: one.append(1), seconds=60)
    run_rounds(
        monkeypatch,
        lambda: len(all_of_them) == 2,
        function=lambda: all_of_them.append(1),
        seconds=60,
        everywhere=True,
    )
    assert len(one) == 1


@pytest.mark.parametrize("pause", [Mock(side_effect=KeyError("own")), lambda: 86_400.0])
def test_a_loop_that_cannot_ask_for_its_turn(monkeypatch: pytest.MonkeyPatch, pause: Any) -> None:
    """It asks again after a minute, whatever its own pause is, or whether that can be told."""
    threads = MaintenanceThreads()
    monkeypatch.setattr(maintenance, "take_turn", Mock(side_effect=OperationalError("away")))
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        threads.stopped.set()

    monkeypatch.setattr(threads.stopped, "wait", wait)
    threads._repeat_until_stopped(Loop("daily", lambda: 0, pause, everywhere=False))
    assert waited == [60.0]
