"""``comp_worker`` as several processes, and what an operator sees of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import psutil
import pytest

from comp_core.models import Run, Worker
from comp_core.pool import WorkerPool
from tests.core.builders import make_run
from tests.core.live import Live, live, wait_until

__all__ = ["live"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def there(number: int) -> bool:
    """Whether so many workers have announced themselves."""
    return Worker.objects.count() == number


@pytest.mark.parametrize(
    ("options", "duties"),
    [
        (["--no-maintenance"], "runs of every queue, checks, no maintenance loops"),
        (["--queue", "checks,default"], "runs of checks, default, checks, N maintenance loops"),
        (["--maintenance"], "no runs, N maintenance loops"),
    ],
)
def test_what_an_operator_reads(
    live: Live, capfd: pytest.CaptureFixture[str], options: list[str], duties: str
) -> None:
    """A line when it starts, with what it does, and one when it has stopped."""
    worker = live.worker(*options)
    wait_until(lambda: there(1))
    name = Worker.objects.get().pk
    worker.terminate()
    worker.wait(15)
    lines = [re.sub(r"\d+ maint", "N maint", line) for line in capfd.readouterr().out.splitlines()]
    assert lines == [f"Worker {name} has started: {duties}.", f"Worker {name} has stopped."]


def test_a_second_worker_by_mistake(live: Live) -> None:
    """Two whole workers, loops and all, do together what one would have done."""
    for _ in range(4):
        make_run("unruly", behaviour="sleeps", amount=0.2)
    live.worker(), live.worker()
    wait_until(lambda: not Run.objects.filter(finished_at__isnull=True).exists(), seconds=30)
    assert list(Run.objects.values_list("status", "attempt")) == [("succeeded", 1)] * 4


def test_a_pool_replaces_its_workers(live: Live) -> None:
    """One that was killed has a successor."""
    pool = live.worker("--processes", "2")
    wait_until(lambda: there(2))
    first = {child.pid for child in psutil.Process(pool.pid).children()}
    os.kill(min(first), signal.SIGKILL)
    wait_until(lambda: there(3), seconds=30)  # the row of the killed one goes stale, and stays
    now = {child.pid for child in psutil.Process(pool.pid).children()}
    assert (len(now), len(now & first)) == (2, 1)


def test_a_pool_that_is_killed(live: Live) -> None:
    """Its workers notice, finish or give back what they have, and are gone."""
    pool = live.worker("--processes", "2")
    wait_until(lambda: there(2))
    workers = psutil.Process(pool.pid).children()
    os.kill(pool.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=15)
    assert (alive, Worker.objects.count()) == ([], 0)


def test_ctrl_c_is_one_request(live: Live) -> None:
    """A terminal sends it to the pool and to its workers: a short run ends all the same."""
    make_run("unruly", behaviour="sleeps", amount=1.5)
    pool = live.worker("--processes", "2")
    wait_until(lambda: there(2) and Run.objects.filter(status="running").exists(), seconds=30)
    os.killpg(pool.pid, signal.SIGINT)
    assert (pool.wait(20), Run.objects.get().status) == (0, "succeeded")


def test_a_stop_while_a_worker_is_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker that nobody knew yet is asked to stop as the others are."""
    pool = WorkerPool(size=1, queues="*", maintenance=False)

    def start(place: int) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        pool._on_signal(signal.SIGTERM, None)
        return worker

    monkeypatch.setattr(pool, "_start", start)
    pool._keep(0)
    assert pool.workers[0][0].wait(15) == -signal.SIGTERM
