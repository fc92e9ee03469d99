"""The core's probes: each says what is wrong, and nothing when nothing is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage, default_storage
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from comp_core import lifecycle
from comp_core.db import from_now
from comp_core.doctor import Finding, registered_probes
from comp_core.maintenance import registered_loops
from comp_core.models import Attempt, MaintenanceLoop, Run, Worker
from comp_core.probes import runs, surroundings, workers
from tests.core.builders import make_claimed, make_profile, make_run

pytestmark = pytest.mark.django_db(transaction=True)


def bad(probe: Callable[[], Iterable[Finding]]) -> list[str]:
    """What a probe finds wrong, its level first."""
    return [f"{found.level.value}: {found.what}" for found in probe() if found.level.value != "ok"]


def make_worker(queues: str = "default", *, slots: int = 1, seen: float = 0.0) -> Worker:
    worker: Worker = Worker.objects.create(
        id=f"w-{queues}", queues=queues, slots=slots, started_at=Now(), seen_at=from_now(-seen)
    )
    return worker


def make_turns(**values: Any) -> None:
    """Every loop has had its turn; ``values`` for the first of them."""
    names = [loop.name for loop in registered_loops()]
    now = timezone.now()
    MaintenanceLoop.objects.bulk_create(
        MaintenanceLoop(name=name, due_at=now, started_at=now) for name in names
    )
    MaintenanceLoop.objects.filter(name=names[0]).update(**values)


def age(run: Run, **values: float) -> None:
    """Set moments of a run, in seconds from now."""
    Run.objects.filter(pk=run.pk).update(**{name: from_now(s) for name, s in values.items()})


def test_a_healthy_site_has_nothing_wrong() -> None:
    """A worker, loops, runs that move: every probe answers, and all is well."""
    make_worker()
    make_turns()
    make_claimed()
    make_run()
    probes = [probe for probe in registered_probes() if probe.name.startswith("comp_core.")]
    assert [words for probe in probes if not probe.deep for words in bad(probe.function)] == []


def test_no_worker() -> None:
    """Since when there was none, and how to start one."""
    make_worker(seen=300)
    make_worker("", seen=0)
    (found,) = workers.workers()
    seen = Worker.objects.get(queues="default").seen_at
    assert (found.what, found.todo) == (
        f"No worker that executes runs has been seen since {seen:%Y-%m-%d %H:%M:%S} UTC.",
        "Start one: python manage.py comp_worker",
    )


def test_never_a_worker() -> None:
    """Rows of workers that are long gone are forgotten."""
    assert bad(workers.workers) == [
        "problem: No worker that executes runs has been seen in the last day."
    ]


def test_loops_that_never_had_a_turn() -> None:
    """They are told in one sentence."""
    assert [words.partition(" have ")[2] for words in bad(workers.loops)] == ["never had a turn."]


def test_a_loop_without_its_turn() -> None:
    """Due long ago, and nobody took it."""
    make_turns(due_at=from_now(-600))
    first = registered_loops()[0].name
    assert bad(workers.loops) == [
        f"problem: The maintenance loops {first} have had no turn in time."
    ]


def test_a_loop_that_fails() -> None:
    """By its error's class."""
    make_turns(error_type="KeyError")
    first = registered_loops()[0].name
    assert bad(workers.loops) == [
        f"warning: The last round of the maintenance loop {first} failed: KeyError."
    ]


def test_a_queue_that_nobody_serves() -> None:
    """Most often a worker was started with another --queue."""
    make_worker("gpu")
    make_run()
    assert [words.partition(" seconds")[2] for words in bad(runs.waiting)] == [
        ", and no worker serves that queue."
    ]


def test_an_idle_worker_beside_a_waiting_run() -> None:
    """Its ticket must be lost; only what has waited for a minute is told."""
    make_worker()
    run = make_run()
    before = bad(runs.waiting)
    age(run, queued_at=-90)
    words = "warning: Runs that wait in the queue 'default': 1, the oldest for 90 seconds, although"
    assert (before, bad(runs.waiting)) == ([], [f"{words} a worker that serves it is idle."])


def test_a_long_wait_behind_busy_workers() -> None:
    """More workers would help."""
    make_worker()
    make_claimed()
    age(make_run(), queued_at=-1200)
    assert bad(runs.waiting) == [
        "warning: Runs that wait in the queue 'default': 1, the oldest for 20 minutes."
    ]


def test_runs_that_should_have_been_aborted() -> None:
    """The loop that ends them is not there."""
    make_worker()
    age(make_run(), start_deadline_at=-120)
    assert bad(runs.waiting) == [
        "problem: Runs that still wait after their deadline for starting: 1."
    ]


def test_held_runs_that_nobody_lets_in() -> None:
    """Behind a run of their owner's that is under way they rightly wait."""
    owner = make_profile(max_running_runs=1)
    run, held = make_run(owner=owner), make_run(owner=owner)
    make_worker()
    age(held, modified=-120)
    before = bad(runs.waiting)
    Run.objects.filter(pk=run.pk).update(status="aborted", finished_at=Now())
    assert (before, bad(runs.waiting)) == (
        [],
        ["problem: Runs that wait behind their owner's own, of which none is under way: 1."],
    )


def test_silent_workers_runs() -> None:
    """A minute after the lease nobody has taken them back."""
    age(make_claimed(), lease_expires_at=-90)
    assert bad(runs.running) == [
        "problem: Runs held by workers that fell silent more than a minute ago: 1."
    ]


def test_runs_beyond_their_time_limit() -> None:
    """With room for storing the outputs."""
    run = make_claimed()
    Run.objects.filter(pk=run.pk).update(timeout_seconds=10, started_at=from_now(-200))
    before = bad(runs.running)
    age(run, started_at=-400)
    assert (before, bad(runs.running)) == (
        [],
        [f"problem: Runs that go on after their time limit: 1 ({str(run.pk)[:8]})."],
    )


def test_leftovers_of_attempts() -> None:
    """For a day they may stay."""
    lifecycle.requeue(make_claimed())
    before = bad(runs.leftovers)
    Attempt.objects.update(ended_at=F("ended_at") - timedelta(days=2))
    assert (before, bad(runs.leftovers)) == (
        [],
        ["warning: Interrupted attempts whose files have not been swept for a day: 1."],
    )


def test_clocks_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than two seconds are worth a warning."""
    ahead = timezone.now() + timedelta(seconds=90)
    monkeypatch.setattr("comp_core.probes.surroundings.timezone.now", lambda: ahead)
    (found,) = bad(surroundings.clock)
    assert found.startswith("warning: The clocks of this machine and of the database are ")


def test_the_storage_is_left_as_it_was() -> None:
    """The small file is gone again."""
    found = bad(surroundings.storage)
    assert (found, default_storage.listdir("doctor")[1]) == ([], [])


class Refusing(InMemoryStorage):
    """A storage that takes nothing."""

    def save(self, *args: Any, **kwargs: Any) -> str:
        raise OSError(28, "No space left on device")


class Unreadable(InMemoryStorage):
    """A storage that gives nothing back."""

    def open(self, *args: Any, **kwargs: Any) -> Any:
        raise PermissionError("denied")


class Keeping(InMemoryStorage):
    """A storage that deletes nothing."""

    def delete(self, name: str) -> None:
        """Does nothing."""


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Refusing", "is not usable: a file could not be written."),
        ("Unreadable", "is not usable: a file could not be read."),
        ("Keeping", "keeps a file that was deleted."),
    ],
)
def test_a_storage_with_a_fault(settings: Any, kind: str, words: str) -> None:
    """In which step, and how."""
    settings.STORAGES = {**settings.STORAGES, "odd": {"BACKEND": f"{__name__}.{kind}"}}
    settings.COMP_CORE = {"STORAGE": "odd"}
    (found,) = bad(surroundings.storage)
    assert found.startswith(f"problem: STORAGES['odd'] {words}")


def test_too_little_room_to_work_in(settings: Any) -> None:
    """Less than one run may write."""
    settings.COMP_CORE = {"MAX_RUN_OUTPUT_BYTES": 2**60}
    assert [found[:8] for found in bad(surroundings.scratch)] == ["warning:"]


def test_settings_are_checked(settings: Any) -> None:
    """The system checks by their ids."""
    settings.COMP_CORE = {"CURRENCY": "dollars"}
    assert bad(surroundings.settings) == [
        "problem: comp_core.E019: COMP_CORE['CURRENCY'] is no currency's code."
    ]


def of_doubling() -> list[str]:
    """What the deep probe says of one model; others of the test site are broken on purpose."""
    return [found.what for found in surroundings.models() if " doubling " in found.what]


def test_models_that_start() -> None:
    """By the interpreter that would run them."""
    assert of_doubling() == [f"The functions of doubling can be imported by {sys.executable}."]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#!/nowhere/python\n", "FileNotFoundError: "),
        ("#!/bin/sh\nexit 3\n", "exit status 3"),
        ("#!/bin/sh\necho first >&2\necho no numpy >&2\nexit 1\n", "no numpy"),
    ],
)
def test_an_interpreter_that_does_not_start(
    settings: Any, tmp_path: Path, script: str, words: str
) -> None:
    """What it said last, or how it ended."""
    interpreter = tmp_path / "python"
    interpreter.write_text(script)
    interpreter.chmod(0o755)
    settings.COMP_CORE = {"PYTHON": str(interpreter)}
    (found,) = of_doubling()
    assert found.startswith(f"The model doubling cannot be started: {words}")


def test_functions_that_cannot_be_imported() -> None:
    """The interpreter's own last line; a module without the function is no model either."""
    found = "\n".join(bad(surroundings.models))
    assert "cannot be started: ModuleNotFoundError: No module named " in found
    assert " has no function run(inputs)." in found
