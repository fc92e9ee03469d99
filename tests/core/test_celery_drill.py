"""Celery workers, a broker, and what may befall them: every run is executed, and kept once."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import Any

import psutil
import pytest
from django.db import connection

from comp_billing import catalog
from comp_billing.models import UsageRecord
from comp_billing.testing.plugin import stripe_standin
from comp_core.db import from_now
from comp_core.models import Attempt, Run, Worker
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_users.models import Profile
from tests.billing.builders import USD_PER_SECOND, Site, site
from tests.core.builders import make_run
from tests.core.celery_rig import CeleryRig, kill_tree, needs_redis, redis, rig
from tests.core.live import live, wait_until

__all__ = ["live", "redis", "rig", "site", "stripe_standin"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
    pytest.mark.skipif(connection.vendor == "sqlite", reason="a site with Celery has PostgreSQL"),
    needs_redis,
]


@pytest.fixture
def payer(site: Site) -> Profile:
    """A subscriber of the unruly model, which is public and has a price."""
    project = project_for(get_spec("unruly"))
    type(project).objects.filter(pk=project.pk).update(is_public=True, server_cost=USD_PER_SECOND)
    catalog.set_up_catalog()
    return site.subscriber()


def sleepers(number: int, seconds: float, owner: Profile | None = None) -> None:
    """So many runs are submitted, each of so many seconds."""
    for _ in range(number):
        make_run("unruly", owner, behaviour="sleeps", amount=seconds)


def running() -> int:
    """How many runs are being executed."""
    return Run.objects.filter(status="running").count()


def ended() -> bool:
    """Whether every run has ended."""
    return not Run.objects.filter(finished_at__isnull=True).exists()


def outcome(rig: CeleryRig) -> dict[str, Any]:
    """How the runs ended, how often one was kept more than once, and what is still running."""
    bills = Counter(UsageRecord.objects.values_list("run", flat=True))
    return {
        **Counter(Run.objects.values_list("status", flat=True)),
        "billed": len(bills),
        "billed twice": sum(number > 1 for number in bills.values()),
        "models": len(rig.live.models()),
    }


def test_a_killed_worker(payer: Profile, rig: CeleryRig) -> None:
    """kill -9 of a worker's tree while it runs: each run succeeds, and is billed once."""
    first, _ = rig.worker("first"), rig.worker("second")
    rig.live.worker("--maintenance")
    sleepers(12, 1.5, payer)
    wait_until(lambda: running() == 2)
    kill_tree(first)
    killed = time.monotonic()
    wait_until(Attempt.objects.exists)
    waited = time.monotonic() - killed
    wait_until(ended, seconds=90)
    whole = {"succeeded": 12, "billed": 12, "billed twice": 0, "models": 0}
    assert (outcome(rig), waited < 12) == (whole, True)


def test_a_killed_process_of_a_worker(payer: Profile, rig: CeleryRig) -> None:
    """kill -9 of the process that Celery has forked: its worker goes on, the run is taken up."""
    worker = rig.worker("only")
    rig.live.worker("--maintenance")
    sleepers(3, 1.5, payer)
    wait_until(lambda: running() == 1)
    os.kill(psutil.Process(worker.pid).children()[0].pid, signal.SIGKILL)
    wait_until(ended, seconds=90)
    whole = {"succeeded": 3, "billed": 3, "billed twice": 0, "models": 0}
    assert (outcome(rig), worker.poll()) == (whole, None)


def test_a_broker_that_forgets(payer: Profile, rig: CeleryRig) -> None:
    """FLUSHALL while runs wait: they are executed all the same, on every slot."""
    rig.worker("first"), rig.worker("second")
    rig.live.worker("--maintenance")
    sleepers(12, 1, payer)
    Run.objects.update(queued_at=from_now(-60), modified=from_now(-60))
    wait_until(lambda: running() == 2)
    rig.redis.client.flushall()
    wait_until(ended, seconds=90)
    assert outcome(rig) == {"succeeded": 12, "billed": 12, "billed twice": 0, "models": 0}


def test_a_broker_that_starts_again(payer: Profile, rig: CeleryRig) -> None:
    """Redis goes, takes all tickets along and comes back; meanwhile runs are submitted."""
    rig.worker("only")
    rig.live.worker("--maintenance")
    sleepers(2, 2, payer)
    wait_until(lambda: running() == 1)
    rig.redis.stop()
    sleepers(1, 0, payer)
    rig.redis.start()
    wait_until(ended, seconds=90)
    assert outcome(rig) == {"succeeded": 3, "billed": 3, "billed twice": 0, "models": 0}


def test_sigterm_lets_a_short_run_end(rig: CeleryRig) -> None:
    """A Celery worker that is asked to stop finishes its run, and its row is gone."""
    worker = rig.worker("only")
    sleepers(1, 1.5)
    wait_until(lambda: running() == 1)
    worker.terminate()
    ended_with = worker.wait(30)
    assert (ended_with, Run.objects.get().status, Worker.objects.count()) == (0, "succeeded", 0)


def test_sigterm_gives_a_long_run_back(rig: CeleryRig) -> None:
    """A run that is longer than the grace period goes back to the queue, nothing counted."""
    rig.configure(SHUTDOWN_SECONDS=1)
    worker = rig.worker("only")
    sleepers(1, 60)
    wait_until(lambda: running() == 1 and rig.live.models())
    worker.terminate()
    ended_with = worker.wait(30)
    run = Run.objects.get()
    assert (ended_with, run.status, run.max_attempts - run.attempt) == (0, "queued", 2)
    assert rig.live.models() == []


def test_a_main_process_that_is_killed(rig: CeleryRig) -> None:
    """What it has forked ends with it, and so do the models; the lease gives the run back."""
    worker = rig.worker("only")
    forked = psutil.Process(worker.pid).children()
    sleepers(1, 60)
    wait_until(lambda: running() == 1 and rig.live.models())
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: rig.live.models() == [], seconds=5)
    rig.live.worker("--maintenance")
    wait_until(lambda: Run.objects.get().status == "queued")
    assert (len(forked), psutil.wait_procs(forked, timeout=5)[1]) == (1, [])


def test_priorities(rig: CeleryRig) -> None:
    """Redis hands out what is more urgent in Django's words first, whatever its own numbers."""
    assert rig.delivered(-100, -50, 0, 50, 100) == [100, 50, 0, -50, -100]
