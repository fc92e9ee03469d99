"""Many at the same moment: double clicks, limits per profile, owners who pay for each other, and
loops that every worker runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.db.models.functions import Now
from django_tasks_db.models import DBTaskResult

from comp_billing import catalog
from comp_billing.models import Reservation, UsageRecord
from comp_core import lifecycle
from comp_core.exceptions import RunRefused
from comp_core.models import Attempt, Run
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_core.tickets import mend_tickets
from comp_users.models import Profile, Project
from tests.billing.builders import Site, site
from tests.core.builders import SUCCESS, make_inputs
from tests.core.concurrency import WAIT_SECONDS, Duel, duel, errors, on_postgresql, together
from tests.core.scenes import Stage, stage
from tests.testapp.models import DoublingRun

__all__ = ["duel", "site", "stage"]

pytestmark = on_postgresql

CLICKS = 20


def counts() -> tuple[int, ...]:
    """Runs, what is held for them, and tickets."""
    return tuple(model.objects.count() for model in (Run, Reservation, DBTaskResult))


def test_a_double_click(stage: Stage) -> None:
    """Twenty submits of the same inputs at once are one run, which all of them get."""
    inputs = make_inputs(owner=stage.owner)
    DBTaskResult.objects.all().delete()
    runs = together([partial(lifecycle.submit, inputs)] * CLICKS)
    assert (Counter(runs), counts()) == ({DoublingRun.objects.get(): CLICKS}, (1, 1, 1))


def test_a_key_used_at_once(stage: Stage) -> None:
    """Twenty submits with one key, each of inputs of its own, are one run, which all get."""
    all_inputs = [make_inputs(owner=stage.owner) for _ in range(CLICKS)]
    DBTaskResult.objects.all().delete()
    runs = together(
        [partial(lifecycle.submit, inputs, idempotency_key="k") for inputs in all_inputs]
    )
    assert (Counter(runs), counts()) == ({DoublingRun.objects.get(): CLICKS}, (1, 1, 1))


@pytest.mark.parametrize("same", ["inputs", "key"])
def test_a_double_click_for_the_last_place(same: str, stage: Stage, duel: Duel) -> None:
    """Whichever moment the first click is held at: the second gets its run too, not a refusal
    because the first has taken the last place."""
    Profile.objects.filter(pk=stage.owner.pk).update(max_queued_runs=1)
    assert list(differing_clicks(stage, duel, same)) == []


def differing_clicks(stage: Stage, duel: Duel, same: str) -> Iterator[str]:
    """Moments of the first click at which the second is answered otherwise."""
    for moment in count():
        clicked = [make_inputs(owner=stage.owner)] * 2
        if same == "key":
            clicked[1] = make_inputs(owner=stage.owner)
        first, second = (
            partial(lifecycle.submit, inputs, idempotency_key=f"click {moment}")
            for inputs in clicked
        )
        if duel.fight(first, second, hold_at=moment) is None:
            return
        answers = [duel.first.answer(), duel.second.answer()]
        if answers[0] != answers[1]:
            yield f"{answers} at {duel.first.passed[moment]}"
        stage.clear()


def submit_many(owner: Profile, number: int) -> int:
    """One after the other; answers how many were accepted."""
    accepted = 0
    for _ in range(number):
        with suppress(RunRefused):
            lifecycle.submit(make_inputs(owner=owner))
            accepted += 1
    return accepted


@pytest.mark.parametrize(("threads", "each"), [(8, 5), (50, 1)])
def test_the_limit_of_waiting_runs_is_kept(threads: int, each: int, stage: Stage) -> None:
    """However many submit at the same moment: as many are accepted as there are places."""
    Profile.objects.filter(pk=stage.owner.pk).update(max_queued_runs=10)
    accepted = together([partial(submit_many, stage.owner, each)] * threads)
    assert (errors(accepted), sum(accepted)) == ([], 10)


def work(total: int) -> int:
    """Claim and finish whatever comes until so many have ended; answers how many were ours."""
    end, ended = time.monotonic() + WAIT_SECONDS, 0
    while Run.objects.filter(finished_at__isnull=False).count() < total:
        assert time.monotonic() < end, "a run was never admitted"
        run = lifecycle.claim("default", worker_id="w")
        if run is not None and run.lease_token is not None:
            ended += lifecycle.finish(run.pk, run.lease_token, SUCCESS)
    return ended


def most_under_way(owner: Profile, total: int) -> int:
    """The most runs that were not held at any moment until so many have ended."""
    end, most = time.monotonic() + WAIT_SECONDS, 0
    while Run.objects.filter(finished_at__isnull=False).count() < total:
        assert time.monotonic() < end, "a run was never admitted"
        not_held = Run.objects.filter(owner=owner, finished_at__isnull=True, held=False)
        most = max(most, not_held.count())
    return most


def test_the_limit_of_runs_at_a_time_is_kept(stage: Stage) -> None:
    """Ends and submits at once: at every moment no more than may be, and each run has its turn
    without the loop that mends admissions."""
    stage.allow(3)
    answers = together(
        [
            partial(most_under_way, stage.owner, 40),
            *[partial(submit_many, stage.owner, 10)] * 4,
            *[partial(work, 40)] * 3,
        ]
    )
    assert (answers[:5], sum(answers[5:])) == ([3, 10, 10, 10, 10], 40)


@pytest.fixture
def friends(site: Site) -> dict[str, Profile]:
    """Each pays for the other's runs: by model, its owner. Both have a cap and a limit."""
    for slug in ("doubling", "unruly"):
        project_for(get_spec(slug))
    Project.objects.update(is_public=True, server_cost=36)
    catalog.set_up_catalog()
    ada, ben = site.subscriber("ada"), site.subscriber("ben")
    Profile.objects.update(spending_cap=1_000_000, max_running_runs=2)
    Project.objects.filter(slug="doubling").update(sponsor=ben)
    Project.objects.filter(slug="unruly").update(sponsor=ada)
    return {"doubling": ada, "unruly": ben}


def submit_of(slug: str, owner: Profile, number: int) -> int:
    """Submit, and cancel every third."""
    for place in range(number):
        run = lifecycle.submit(make_inputs(slug, owner))
        if place % 3 == 2:
            lifecycle.cancel(run)
    return number


def test_friends_who_pay_for_each_other(friends: dict[str, Profile]) -> None:
    """Neither submits nor ends of two owners who wait for each other's rows meet a deadlock."""
    submits = [partial(submit_of, slug, owner, 6) for slug, owner in friends.items()] * 2
    answers = together([*submits, *[partial(work, 24)] * 3])
    open_money = Reservation.objects.filter(settled_amount__isnull=True).count()
    succeeded = Run.objects.filter(status="succeeded").count()
    assert (errors(answers), Run.objects.count(), open_money, UsageRecord.objects.count()) == (
        [],
        24,
        0,
        succeeded,
    )


def age(runs: Any) -> None:
    """As if they waited for a minute."""
    long_ago = Now() - timedelta(seconds=60)
    runs.update(queued_at=long_ago, modified=long_ago)


def test_loops_of_several_workers(stage: Stage) -> None:
    """Two reapers, two menders and two admissions at once: each run moves once, and the tickets
    are at most as many again as are missing for each mender."""
    silent = [stage.case("silent") for _ in range(6)]
    waiting = [stage.case() for _ in range(5)]
    age(Run.objects.filter(status="queued"))
    stage.allow(1)
    held = [stage.case() for _ in range(3)]
    stage.allow(13)
    DBTaskResult.objects.all().delete()
    loops = [lifecycle.reap, mend_tickets, lifecycle.admit_held] * 2
    answers = together(loops)
    ours = Run.objects.filter(pk__in=[case.run.pk for case in (*silent, *waiting, *held)])
    tickets = DBTaskResult.objects.count()
    assert (
        [sum(answers[first::3]) for first in (0, 2)],
        Attempt.objects.count(),
        sorted(ours.values_list("status", "held")),
        6 + 2 <= tickets <= 6 + 2 + 2 * 5,
    ) == ([6, 2], 6, [("queued", False)] * 13 + [("queued", True)], True)
