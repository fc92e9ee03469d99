"""Maintenance loops: of all workers one carries out a round, and what became of it is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError

from comp_core import maintenance
from comp_core.db import from_now
from comp_core.maintenance import Loop, MaintenanceThreads, take_turn
from comp_core.models import MaintenanceLoop

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


def ask_two_workers(function: Callable[[], Any], *, everywhere: bool = False) -> None:
    """Each of two workers comes to its loop once, one after the other."""
    found = Loop("tests.loop", function, 60, everywhere)
    for worker in (MaintenanceThreads(), MaintenanceThreads()):
        worker._round(found)


def test_what_became_of_a_round_is_kept() -> None:
    """Operators see which loop fails: the kind of the error, never its text."""

    def fail() -> None:
        raise LookupError("ada@example.org")

    ask_two_workers(fail)
    row = MaintenanceLoop.objects.get()
    assert (row.error_type, row.finished_at is None, "ada@" in str(vars(row))) == (
        "LookupError",
        False,
        False,
    )


@pytest.mark.parametrize(("everywhere", "rounds"), [(False, 1), (True, 2)])
def test_two_workers_share_the_rounds(everywhere: bool, rounds: int) -> None:
    """Within the pause the second worker has none; work that can be shared is done by both."""
    done: list[int] = []
    ask_two_workers(lambda: done.append(1), everywhere=everywhere)
    assert len(done) == rounds


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
