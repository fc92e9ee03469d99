"""A worker's hold on a run: claimed fairly, kept by heartbeats, given back."""

from __future__ import annotations

import uuid

import pytest

from comp_core import lifecycle
from comp_core.models import Run
from tests.core.builders import (
    expire,
    make_claimed,
    make_inputs,
    make_profile,
    make_run,
    statements,
    status,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_claim_leases_the_run() -> None:
    """A claimed run is running, leased to its worker, in its first attempt."""
    claimed = make_claimed()
    stored = Run.objects.get(pk=claimed.pk)
    assert (stored.status, stored.attempt, stored.worker_id, stored.lease_token) == (
        "running",
        1,
        "tests",
        claimed.lease_token,
    )


def test_claim_empty_queue() -> None:
    """Nothing waits: nothing is claimed, whatever waits elsewhere."""
    make_run()
    assert lifecycle.claim("other", worker_id="w") is None


def test_claims_each_run_once() -> None:
    """Two claims take two runs, and the third takes none."""
    runs = {make_run().pk for _ in range(2)}
    claims = [lifecycle.claim("default", worker_id="w") for _ in range(3)]
    assert [{run.pk for run in claims if run}, claims[2]] == [runs, None]


def test_priority_before_age() -> None:
    """A later run of higher priority is claimed first."""
    make_run()
    urgent = make_run()
    Run.objects.filter(pk=urgent.pk).update(priority=1)
    claimed = lifecycle.claim("default", worker_id="w")
    assert getattr(claimed, "pk", None) == urgent.pk


def test_claim_statements() -> None:
    """A claim costs two statements."""
    make_run()
    with statements() as sql:
        lifecycle.claim("default", worker_id="w")
    assert len(sql) == 2


def test_heartbeat_is_one_statement() -> None:
    """A heartbeat that finds no wish to cancel is one statement."""
    run = make_claimed()
    with statements() as sql:
        beat = lifecycle.heartbeat(run.pk, run.lease_token, progress=0.5, message="half")
    assert (beat, len(sql)) == (lifecycle.Heartbeat(alive=True, cancel_requested=False), 1)


def test_heartbeat_stores_progress() -> None:
    """A heartbeat carries the progress and extends the lease."""
    run = make_claimed()
    expire(run)
    lifecycle.heartbeat(run.pk, run.lease_token, progress=0.5, message="half")
    stored = Run.objects.get(pk=run.pk)
    assert (stored.progress, stored.progress_message, lifecycle.reap()) == (0.5, "half", 0)


@pytest.mark.parametrize("fraction", [float("nan"), float("inf"), -3.0, 7.0])
def test_heartbeat_bounds_progress(fraction: float) -> None:
    """Nonsense from a model stays within 0 and 1."""
    run = make_claimed()
    lifecycle.heartbeat(run.pk, run.lease_token, progress=fraction, message="")
    assert 0 <= Run.objects.get(pk=run.pk).progress <= 1


def test_heartbeat_with_a_wrong_token() -> None:
    """Invariant 4: a worker without the lease learns that it is fenced."""
    run = make_claimed()
    beat = lifecycle.heartbeat(run.pk, uuid.uuid4(), progress=0.5, message="")
    assert (beat.alive, Run.objects.get(pk=run.pk).progress) == (False, 0)


def test_release() -> None:
    """A stopping worker's run goes back to the queue; the attempt is not held against it."""
    run = make_claimed()
    assert lifecycle.release(run.pk, run.lease_token)
    stored = Run.objects.get(pk=run.pk)
    assert (stored.status, stored.attempt, stored.max_attempts) == ("queued", 1, 3)


def test_release_with_a_wrong_token() -> None:
    """Invariant 4: only the lease's holder gives a run back."""
    run = make_claimed()
    assert (lifecycle.release(run.pk, uuid.uuid4()), status(run)) == (False, "running")


def test_owners_are_served_in_turn() -> None:
    """Claims alternate between owners whatever the order in which they submitted."""
    owners = [make_profile("ann"), make_profile("bob")]
    for owner in owners:
        for _ in range(2):
            lifecycle.submit(make_inputs(owner=owner))
    claims = [lifecycle.claim("default", worker_id="w") for _ in range(4)]
    assert [run.owner.user.username for run in claims if run] == ["ann", "bob", "ann", "bob"]
