"""Fair use: everybody's first run soon, and no more of one profile than the site allows."""

from __future__ import annotations

from typing import Any

import pytest
from django.test.utils import override_settings
from django_tasks_db.models import DBTaskResult

from comp_core import lifecycle
from comp_core.exceptions import RunRefused
from comp_core.lifecycle import submit
from comp_core.models import Run
from comp_users.models import Profile
from tests.core.builders import SUCCESS, make_inputs, make_profile, statements

pytestmark = pytest.mark.django_db(transaction=True)


def submit_runs(owner: Profile, number: int) -> list[Run]:
    """So many runs of one owner."""
    return [submit(make_inputs(owner=owner)) for _ in range(number)]


def claim() -> Run:
    """The next run that a worker starts."""
    run = lifecycle.claim("default", worker_id="w")
    assert run is not None
    return run


def serve(run: Run) -> None:
    """End a run that a worker holds."""
    assert run.lease_token is not None
    lifecycle.finish(run.pk, run.lease_token, SUCCESS)


def served(number: int) -> list[str]:
    """One worker's next runs, by their owners."""
    names = []
    for _ in range(number):
        run = claim()
        names.append(run.owner.user.username)
        serve(run)
    return names


def served_with_newcomers(number: int) -> list[str]:
    """One worker's next runs, by their owners; while each of them runs somebody new submits."""
    names, under_way = [], claim()
    for place in range(number):
        submit_runs(make_profile(f"new{place}"), 1)
        serve(under_way)
        under_way = claim()
        names.append(under_way.owner.user.username)
    return names


def test_a_newcomer_is_next() -> None:
    """One worker, one user's queue: another's first run waits for the running one only."""
    submit_runs(make_profile("many"), 9)
    serve(claim())
    under_way = claim()
    submit_runs(make_profile("new"), 1)
    serve(under_way)
    assert served(2) == ["new", "many"]


def test_newcomers_do_not_starve_the_queue() -> None:
    """Somebody new at every start: the one who waited has turns between them."""
    submit_runs(make_profile("many"), 5)
    names = served_with_newcomers(8)
    assert [place for place, name in enumerate(names) if name == "many"] == [1, 5]


def test_owners_take_turns() -> None:
    """Two with many runs alternate, though one was there before."""
    submit_runs(make_profile("ann"), 3)
    submit_runs(make_profile("bob"), 3)
    assert served(6) == ["ann", "bob"] * 3


def test_fairness_is_kept_per_priority() -> None:
    """A project of higher priority goes first; within it everybody has their turn."""
    submit_runs(make_profile("plain"), 2)
    submit_runs(make_profile("ann"), 2), submit_runs(make_profile("bob"), 2)
    Run.objects.exclude(owner__user__username="plain").update(priority=5)
    assert served(6) == ["ann", "bob", "ann", "bob", "plain", "plain"]


def test_two_thousand_runs_delay_nobody() -> None:
    """Whatever one owner has waiting, another's first run is the next to start."""
    many = make_profile("many")
    template = submit_runs(many, 1)[0]
    rows = [_copy(template, place) for place in range(1, 2000)]
    Run.objects.bulk_create(rows, batch_size=200)
    under_way = claim()
    submit_runs(make_profile("new"), 1)
    serve(under_way)
    assert served(1) == ["new"]


def _copy(run: Run, place: int) -> Run:
    kept = ("owner_id", "payer_id", "project_id", "queued_at", "start_deadline_at", "server_cost")
    return Run(**{name: getattr(run, name) for name in kept}, start_tag=2 * place)


@pytest.fixture
def two_at_a_time(settings: Any) -> None:
    """A site on which everybody has two runs under way at most."""
    settings.COMP_CORE = {"MAX_RUNNING_RUNS_PER_PROFILE": 2}


def states(owner: Profile) -> list[tuple[str, bool]]:
    """How an owner's runs stand, and which are held."""
    runs = Run.objects.filter(owner=owner).order_by("start_tag")
    return list(runs.values_list("status", "held"))


@pytest.mark.usefixtures("two_at_a_time")
def test_further_runs_are_held() -> None:
    """As many as the limit says are admitted, with a ticket each; the others wait for them."""
    owner = make_profile()
    submit_runs(owner, 4)
    assert (states(owner), DBTaskResult.objects.count()) == (
        [("queued", False), ("queued", False), ("queued", True), ("queued", True)],
        2,
    )


@pytest.mark.usefixtures("two_at_a_time")
def test_an_end_admits_the_next() -> None:
    """When a run ends, whichever way, its owner's next enters the queue with a ticket."""
    owner = make_profile()
    runs = submit_runs(owner, 4)
    serve(claim())
    lifecycle.cancel(runs[1])
    assert (states(owner), DBTaskResult.objects.count()) == (
        [("succeeded", False), ("cancelled", False), ("queued", False), ("queued", False)],
        4,
    )


@pytest.mark.usefixtures("two_at_a_time")
def test_a_held_run_is_not_claimed() -> None:
    """No worker takes it, however many are idle."""
    submit_runs(make_profile(), 3)
    claims = [lifecycle.claim("default", worker_id="w") for _ in range(3)]
    assert [run is not None for run in claims] == [True, True, False]


@pytest.mark.usefixtures("two_at_a_time")
def test_a_held_run_can_be_cancelled(notes: list[Any]) -> None:
    """It ends as any waiting run does."""
    held = submit_runs(make_profile(), 3)[2]
    assert lifecycle.cancel(held).status == "cancelled"


@pytest.mark.usefixtures("two_at_a_time")
def test_time_to_start_begins_with_admission() -> None:
    """A run that waits for its owner's own is not aborted for waiting."""
    owner = make_profile()
    submit_runs(owner, 3)
    Run.objects.update(start_deadline_at="2020-01-01T00:00Z")
    aborted = lifecycle.abort_overdue()
    assert (aborted, lifecycle.abort_overdue(), states(owner)[2]) == (2, 0, ("queued", False))


def test_a_profile_has_limits_of_its_own(two_at_a_time: None) -> None:
    """An operator's figure on the profile goes before the site's."""
    owner = make_profile(max_running_runs=3)
    submit_runs(owner, 4)
    assert [held for _, held in states(owner)] == [False, False, False, True]


def test_a_limit_that_is_lifted(two_at_a_time: None) -> None:
    """The loop lets held runs in once there is room, though no run has ended."""
    owner = make_profile()
    submit_runs(owner, 4)
    with override_settings(COMP_CORE={}):
        admitted = lifecycle.admit_held()
    assert (admitted, {held for _, held in states(owner)}) == (2, {False})


def test_nothing_to_admit() -> None:
    """A round of the loop without held runs is one statement."""
    submit_runs(make_profile(), 2)
    with statements() as sql:
        lifecycle.admit_held()
    assert len(sql) == 1


def test_too_many_waiting_runs(settings: Any) -> None:
    """The refusal gives the figures and the way out, and leaves nothing behind."""
    settings.COMP_CORE = {"MAX_QUEUED_RUNS_PER_PROFILE": 2}
    owner = make_profile()
    submit_runs(owner, 2)
    with pytest.raises(RunRefused) as refused:
        submit_runs(owner, 1)
    assert (str(refused.value), Run.objects.count()) == (
        "2 of your runs are waiting, and no more than 2 may: "
        "wait until some have started, or cancel some.",
        2,
    )


def test_running_runs_do_not_count_as_waiting(settings: Any) -> None:
    """Room is made by every start."""
    settings.COMP_CORE = {"MAX_QUEUED_RUNS_PER_PROFILE": 1}
    owner = make_profile()
    submit_runs(owner, 1)
    claim()
    submit_runs(owner, 1)
    assert [status for status, _ in states(owner)] == ["running", "queued"]


def test_others_are_not_limited_by_it(settings: Any) -> None:
    """The limit is each profile's own."""
    settings.COMP_CORE = {"MAX_QUEUED_RUNS_PER_PROFILE": 1}
    submit_runs(make_profile(), 1)
    submit_runs(make_profile(), 1)
    assert Run.objects.count() == 2
