"""``comp_worker`` as a real process: works, stops gracefully, dies cleanly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from io import StringIO
from statistics import median
from typing import Any
from unittest.mock import Mock

import django
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError, connection
from django.db.migrations.recorder import MigrationRecorder
from django_tasks_db.models import DBTaskResult

from comp_core import maintenance, startup, worker
from comp_core.db import from_now
from comp_core.inputs import save_inputs
from comp_core.models import Run, Worker
from comp_core.process_state import Stopping
from tests.core.builders import make_profile, make_run, status
from tests.core.live import Live, live, wait_until
from tests.testapp.models import DoublingInputs

__all__ = ["live"]

TASKS = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"

pytestmark = pytest.mark.django_db(transaction=True)


def ended() -> bool:
    """Whether every run has ended."""
    return not Run.objects.filter(finished_at__isnull=True).exists()


def test_once(live: Live) -> None:
    """``--once`` checks, runs, and exits with status 0 when nothing is left to do."""
    save_inputs(DoublingInputs(owner=make_profile(), number=3), run_request={})
    worker = live.worker("--once")
    assert (worker.wait(30), list(Run.objects.values_list("status", flat=True))) == (
        0,
        ["succeeded"],
    )


def test_processes_share_the_work(live: Live) -> None:
    """Several processes execute each run once, and end together."""
    for _ in range(6):
        make_run("unruly", behaviour="sleeps", amount=0.2)
    pool = live.worker("--processes", "2")
    wait_until(ended, seconds=30)
    workers = set(Run.objects.values_list("worker_id", flat=True))
    pool.terminate()
    assert (pool.wait(15), len(workers)) == (0, 2)
    assert set(Run.objects.values_list("status", "attempt")) == {("succeeded", 1)}


ROUNDS, STARTS = 4, 5


def test_an_idle_worker_starts_soon(live: Live) -> None:
    """A run starts within 0.3 seconds at the median when a worker is idle.

    The best of some rounds counts: a machine that is busy otherwise makes rounds slow, never fast.
    """
    for _ in range(ROUNDS * STARTS):
        make_run()
    DBTaskResult.objects.update(run_after=from_now(3600))
    live.worker("--no-maintenance")
    wait_until(Worker.objects.exists)
    assert min(median_start(round_) for round_ in range(ROUNDS)) < 0.3


def median_start(round_: int) -> float:
    """Seconds from a ticket to its run's start, of the runs of one round."""
    return median([start_latency(round_ * STARTS + start) for start in range(STARTS)])


def start_latency(done: int) -> float:
    """Seconds from a ticket to the start of the next run, when so many are done."""
    waiting = DBTaskResult.objects.filter(run_after__gt=from_now(60))
    begun = time.monotonic()
    waiting.filter(pk=waiting.first().pk).update(run_after=from_now(-60))
    wait_until(lambda: Run.objects.filter(started_at__isnull=False).count() > done)
    waited = time.monotonic() - begun
    wait_until(lambda: Run.objects.filter(finished_at__isnull=False).count() > done)
    # At another point of the worker's pause each time.
    time.sleep(0.03 * (done % STARTS))
    return waited


def test_sigterm_lets_a_short_run_end(live: Live) -> None:
    """A stopping worker finishes its run, exits with status 0 and removes its row."""
    make_run("unruly", behaviour="sleeps", amount=1)
    worker = live.worker()
    wait_until(lambda: Run.objects.filter(status="running").exists())
    worker.terminate()
    assert (worker.wait(15), Run.objects.get().status) == (0, "succeeded")
    assert Worker.objects.count() == 0


def test_a_second_sigterm_gives_the_run_back(live: Live) -> None:
    """A worker that must go at once puts its run back into the queue, the attempt uncounted."""
    make_run("unruly", behaviour="sleeps", amount=60)
    worker = live.worker()
    wait_until(lambda: live.models() and Run.objects.filter(status="running").exists())
    worker.terminate()
    time.sleep(0.3)
    worker.terminate()
    run = (worker.wait(15), Run.objects.get())[1]
    assert (worker.returncode, run.status, run.max_attempts - run.attempt) == (0, "queued", 2)
    assert live.models() == []


def test_a_killed_worker_takes_its_model_along(live: Live) -> None:
    """kill -9 of a worker ends the model within a second, and what the model had forked."""
    make_run("unruly", behaviour="forks_and_sleeps", amount=3)
    worker = live.worker()
    wait_until(lambda: len(live.models()) == 4)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    wait_until(lambda: live.models() == [], seconds=1)


def test_another_worker_takes_over(live: Live) -> None:
    """The run of a killed worker is executed again when its lease has run out, and stored once."""
    make_run("unruly", behaviour="sleeps", amount=0.5)
    first = live.worker()
    wait_until(lambda: Run.objects.filter(status="running").exists())
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    Run.objects.update(lease_expires_at=from_now(1))
    live.worker()
    wait_until(ended)
    assert list(Run.objects.values_list("status", "attempt")) == [("succeeded", 2)]


def test_a_check_does_not_wait_behind_a_run(live: Live) -> None:
    """A form's answer comes while a long run keeps the worker busy."""
    make_run("unruly", behaviour="sleeps", amount=60)
    inputs = save_inputs(DoublingInputs(owner=make_profile()))
    live.worker()
    wait_until(lambda: Run.objects.filter(status="running").exists())
    mine = DoublingInputs.objects.filter(pk=inputs.pk)
    wait_until(lambda: mine.get().status == "valid", seconds=5)


def test_maintenance_alone_executes_nothing(live: Live) -> None:
    """``--maintenance`` runs the loops and leaves runs to other workers."""
    run = make_run()
    stale = make_run()
    Run.objects.filter(pk=stale.pk).update(start_deadline_at=from_now(-1))
    worker = live.worker("--maintenance")
    wait_until(lambda: Run.objects.get(pk=stale.pk).status == "aborted")
    worker.terminate()
    assert (worker.wait(15), Run.objects.get(pk=run.pk).status) == (0, "queued")


def test_one_broken_loop_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loop has its turn, then the error is raised."""
    turns: list[str] = []
    monkeypatch.setattr(maintenance, "_loops", {})
    maintenance.register_loop("broken", lambda: 1 / 0, seconds=1)
    maintenance.register_loop("sound", lambda: turns.append("sound"), seconds=1)
    with pytest.raises(ZeroDivisionError):
        maintenance.run_all_once()
    assert turns == ["sound"]


def test_threads_survive_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that fails is tried again, and stops when asked."""
    turns: list[int] = []

    def fail() -> None:
        turns.append(1)
        raise RuntimeError("once more")

    monkeypatch.setattr(maintenance, "_loops", {})
    maintenance.register_loop("failing", fail, seconds=0.01, everywhere=True)
    threads = maintenance.MaintenanceThreads()
    threads.start()
    wait_until(lambda: len(turns) > 2)
    threads.stop(seconds=5)
    assert [thread.is_alive() for thread in threads.threads] == [False]


def test_a_backend_with_its_own_workers(settings: Any) -> None:
    """A task backend that has workers of its own is told, with what to start instead."""
    settings.TASKS = {"default": {"BACKEND": f"{TASKS}.backends.immediate.ImmediateBackend"}}
    with pytest.raises(CommandError, match="--maintenance"):
        call_command("comp_worker")


def test_processes_must_be_some() -> None:
    """A pool of no workers is refused."""
    with pytest.raises(CommandError, match="at least 1"):
        call_command("comp_worker", "--processes", "0")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--processes", "2", "--maintenance"], "there is one process"),
        (["--processes", "2", "--once"], "there is one process"),
        (["--queue", " , "], "names no queue"),
    ],
)
def test_options_that_contradict_each_other(options: list[str], said: str) -> None:
    """They are refused in words."""
    with pytest.raises(CommandError, match=said):
        call_command("comp_worker", *options)


def test_a_queue_that_no_model_uses() -> None:
    """It may be a slip of the pen: the worker says which there are, and starts."""
    told = StringIO()
    call_command("comp_worker", "--once", "--queue", "defualt", stderr=told)
    assert told.getvalue().strip() == ("No model uses the queue defualt. Those in use are default.")


def test_once_for_a_queue() -> None:
    """``--once`` leaves the runs of other queues where they are."""
    run = make_run()
    call_command("comp_worker", "--once", "--queue", "gpu", stderr=StringIO())
    assert Run.objects.get(pk=run.pk).status == "queued"


def test_once_without_runs() -> None:
    """``--once --maintenance`` makes one round of the loops."""
    run, stale = make_run(), make_run()
    Run.objects.filter(pk=stale.pk).update(start_deadline_at=from_now(-1))
    call_command("comp_worker", "--once", "--maintenance")
    assert (status(run), status(stale)) == ("queued", "aborted")


@pytest.fixture
def not_migrated() -> Iterator[None]:
    """The newest migration of the runs has not been applied."""
    applied = MigrationRecorder(connection).migration_qs.filter(app="comp_core")
    last = applied.order_by("name").last()
    assert last is not None
    applied.filter(pk=last.pk).delete()
    yield
    last.save(force_insert=True)


def test_a_site_that_is_not_migrated(not_migrated: None) -> None:
    """The worker ends with a line that says what to do."""
    with pytest.raises(CommandError, match=r"1 migrations are not .* Run manage\.py migrate first"):
        call_command("comp_worker")


def test_a_database_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker says once that it waits, and goes on as soon as it can."""
    answers = iter([OperationalError("no\nanswer"), OperationalError("no"), None])

    def look() -> list[str]:
        if error := next(answers):
            raise error
        return []

    told: list[str] = []
    monkeypatch.setattr(startup, "LOOK_SECONDS", 0)
    monkeypatch.setattr(startup, "unapplied_migrations", look)
    startup.wait_until_ready(told.append)
    assert told == ["The database cannot be reached yet; trying for a minute. no answer"]


def test_a_database_that_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute the worker ends; who supervises it may start it again."""
    monkeypatch.setattr(startup, "WAIT_SECONDS", 0)
    monkeypatch.setattr(startup, "unapplied_migrations", Mock(side_effect=OperationalError("no")))
    with pytest.raises(CommandError, match="could not be reached: no"):
        startup.wait_until_ready(lambda line: None)


def test_a_worker_that_can_answer_no_checks_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process does not live on without that thread: whoever supervises it starts another."""
    monkeypatch.setattr(worker.TicketWorker, "run", Mock(side_effect=ProgrammingError("no column")))
    monkeypatch.setattr(worker, "stopping", Stopping())
    broken = worker.CompWorker(queues=["default"], maintenance=False)
    monkeypatch.setattr(broken, "runs", None)
    monkeypatch.setattr(broken, "presence", Mock())
    monkeypatch.setattr(worker.signal, "signal", Mock())
    with pytest.raises(ProgrammingError, match="no column"):
        broken.run()
