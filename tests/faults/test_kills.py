"""Real workers die, freeze and lose the database: each run ends once, and is billed once."""

from __future__ import annotations

import os
import signal
import time
from random import Random

import pytest
from django.db import connection

from comp_core.models import Attempt, Run, Worker
from tests.core.live import wait_until
from tests.faults.killing import (
    CORE,
    PATIENCE,
    Scene,
    cut_everybody,
    delay,
    expire_all,
    results,
    scene,
)
from tests.faults.worker_main import KILLED

__all__ = ["scene"]

# What a run may wait for beyond its lease, once a worker is there.
GRACE_SECONDS = 2.0
POINTS = (
    *("claim:written", "claim:committed", "execute:begin", "model:ended", "output:stored"),
    *("outputs:stored", "end:written", "end:committed"),
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_at_a_point(scene: Scene, point: str) -> None:
    """Whatever was committed when it died, another worker brings the run to its one end."""
    run = scene.run(0, behaviour="fine")
    assert scene.worker(point=point, action="exit").wait(PATIENCE) == KILLED
    scene.drain()
    assert (results(run), scene.books()) == ([("succeeded", 1)], [])


def test_killed_beside_another_worker(scene: Scene) -> None:
    """The run is another worker's within two seconds of the end of its lease."""
    workers = scene.worker(), scene.worker()
    wait_until(lambda: Worker.objects.count() == 2, seconds=PATIENCE)
    run = scene.run(2)
    scene.kill(scene.holder(scene.running(run), *workers))
    lease_end = Run.objects.get(pk=run.pk).lease_expires_at
    scene.ended(run)
    waited = delay(run, since=lease_end)
    assert (results(run), scene.books()) == ([("succeeded", 1)], [])
    assert 0 <= waited < GRACE_SECONDS


def test_killed_alone(scene: Scene) -> None:
    """A worker that is started later finds the run within two seconds of being there."""
    run, first = scene.run(2), scene.worker()
    scene.running(run)
    scene.kill(first)
    time.sleep(CORE["LEASE_SECONDS"])
    scene.worker()
    mine = Worker.objects.order_by("-started_at")
    wait_until(lambda: mine.count() == 2, seconds=PATIENCE)
    there = mine[0].started_at
    scene.ended(run)
    waited = delay(run, since=there)
    assert (results(run), scene.books()) == ([("succeeded", 1)], [])
    assert 0 <= waited < GRACE_SECONDS


def test_killed_again_and_again(scene: Scene) -> None:
    """Twenty runs in a row, a worker killed at a random moment of each."""
    moments = Random(20)
    runs = [scene.run(0.3) for _ in range(20)]
    for _ in runs:
        worker = scene.worker()
        wait_until(scene.live.models, seconds=PATIENCE)
        time.sleep(moments.uniform(0, 0.6))
        scene.kill(worker)
        expire_all()
    scene.worker()
    scene.ended(*runs)
    assert (results(*runs), scene.books()) == ([("succeeded", 1)] * 20, [])


def test_frozen_beyond_its_lease(scene: Scene) -> None:
    """It wakes up fenced: what it has is thrown away, and the other worker's result stays."""
    run, first = scene.run(2), scene.worker()
    held = scene.running(run)
    scene.freeze(first, held)
    scene.worker()
    scene.ended(run)
    os.killpg(first.pid, signal.SIGCONT)
    time.sleep(CORE["LEASE_SECONDS"])
    stored = Run.objects.get(pk=run.pk)
    assert (results(run), scene.books()) == ([("succeeded", 1)], [])
    assert (stored.attempt, held.attempt, first.poll()) == (2, 1, None)


def test_sigterm_while_outputs_are_stored(scene: Scene) -> None:
    """The run ends with its outputs, the worker with status 0."""
    run = scene.run(0, behaviour="same_titles")
    worker = scene.worker(point="output:stored", action="sleep")
    held = scene.running(run)
    wait_until(lambda: scene.stored(held), seconds=PATIENCE)
    worker.terminate()
    assert (worker.wait(PATIENCE), results(run), scene.books()) == (0, [("succeeded", 1)], [])


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no server to restart")
@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.0])
def test_the_database_restarts(scene: Scene, seconds: float) -> None:
    """In the middle of a run: the result is kept, or the run starts again; it ends all the same."""
    run, _ = scene.run(1), scene.worker()
    scene.running(run)
    time.sleep(seconds)
    cut_everybody()
    scene.ended(run)
    assert (results(run), scene.books()) == ([("succeeded", 1)], [])
    assert Attempt.objects.count() < CORE["MAX_ATTEMPTS"]
