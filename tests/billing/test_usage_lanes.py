"""The reporter's order and speed: by turns, side by side, at a pace, in few statements."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from comp_billing import usage
from comp_billing.models import UsageRecord, UsageState
from comp_billing.usage import queue, reporting
from tests.billing.builders import Site, several_writers, used
from tests.billing.reports import EVENTS, ledger


def statements(records: int) -> int:
    """How many statements it takes to report what waits, so many records."""
    with CaptureQueriesContext(connection) as context:
        settled = usage.report_due()
    assert settled == records
    return len(context)


def backlog(site: Site, *, of_ada: int, of_bob: int) -> None:
    """Usage that waits, all of one customer's before the other's."""
    project, ada, bob = site.shop(), site.subscriber("ada"), site.subscriber("bob")
    for payer, number in ((ada, of_ada), (bob, of_bob)):
        for _ in range(number):
            used(project, payer)


@pytest.mark.parametrize("number", [1, 12])
def test_two_statements_for_each_record(site: Site, number: int) -> None:
    """That it is about to be sent, and that it was accepted; besides, for all of them together,
    what is due. So a record that comes alone takes three."""
    backlog(site, of_ada=number, of_bob=0)

    assert statements(number) == 2 * number + 1


def test_customers_take_turns(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long backlog of one customer does not keep another one's usage waiting."""
    monkeypatch.setattr(queue, "TURN", 2)
    monkeypatch.setattr(queue, "BATCH", 3)
    backlog(site, of_ada=6, of_bob=1)
    bob = UsageRecord.objects.latest("created")

    lanes = queue.lanes_due()

    assert [len(lane) for lane in lanes] == [2, 1]
    assert lanes[1] == [bob]


def test_lane_waits_for_its_first(site: Site) -> None:
    """While the first record of a customer and meter waits for its next try, the others wait."""
    backlog(site, of_ada=2, of_bob=1)
    first = UsageRecord.objects.earliest("created")
    later = timezone.now() + timedelta(minutes=1)
    UsageRecord.objects.filter(pk=first.pk).update(next_attempt_at=later)
    bob = UsageRecord.objects.latest("created")

    usage.report_due()

    assert [event["identifier"] for event in ledger(site)] == [str(bob.pk)]


def test_records_of_one_moment_go_one_after_the_other(site: Site) -> None:
    """Created within the same microsecond, one of them is still the first."""
    backlog(site, of_ada=3, of_bob=0)
    UsageRecord.objects.update(created=timezone.now())
    (lane,) = queue.lanes_due()

    claimed = [queue.claim(record, timezone.now()) for record in lane]

    assert claimed == [True, False, False]


def test_pace_is_held(site: Site) -> None:
    """No more records per second than the site allows; what was saved up is one second's."""
    site.configure(REPORTS_PER_SECOND=10)
    backlog(site, of_ada=8, of_bob=8)
    reporting._bucket = reporting.TokenBucket()
    started = time.monotonic()

    usage.report_due()

    assert (len(ledger(site)), time.monotonic() - started >= 0.5) == (16, True)


def test_reporter_that_is_behind_another_leaves_its_records(site: Site) -> None:
    """A record that somebody else has taken since it was read is not sent by us."""
    backlog(site, of_ada=1, of_bob=0)
    ((mine,),) = queue.lanes_due()
    ((other,),) = queue.lanes_due()
    assert queue.claim(other, timezone.now())

    assert reporting.report(mine) is False


@several_writers
def test_customers_are_reported_side_by_side(site: Site) -> None:
    """Four customers with slow answers take about as long as one, each in its own order."""
    site.configure(REPORTS_PER_SECOND=1000)
    project = site.shop()
    for name in ("ada", "bob", "cyn", "dan"):
        payer = site.subscriber(name)
        for _ in range(2):
            used(project, payer)
    site.standin.faults.add("delay", path=EVENTS, seconds=0.4, times=8)
    started = time.monotonic()

    usage.report_due()

    # One after the other would take 3.2 seconds of waiting alone.
    assert (len(ledger(site)), time.monotonic() - started < 2.8) == (8, True)
    assert set(UsageRecord.objects.values_list("state", flat=True)) == {UsageState.ACCEPTED}


@several_writers
def test_refusal_in_one_lane_stops_all(site: Site) -> None:
    """A wrong key is found out once, not by every lane again and again."""
    backlog(site, of_ada=4, of_bob=4)
    site.standin.faults.add("401", path=EVENTS, times=8)
    before = site.standin.calls[f"POST {EVENTS}"]

    usage.report_due()

    assert site.standin.calls[f"POST {EVENTS}"] - before <= 2
    assert set(UsageRecord.objects.values_list("state", flat=True)) == {UsageState.PENDING}


def test_process_that_has_slept_sends_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between being taken and being sent a day went by: whether it may be sent is asked anew."""
    backlog(site, of_ada=1, of_bob=0)
    now = timezone.now()
    moments = iter([now, now + timedelta(hours=25)])
    monkeypatch.setattr("comp_billing.clock.now", lambda: next(moments))
    ((record,),) = queue.lanes_due()

    settled = reporting.report(record)

    assert (settled, ledger(site)) == (False, [])
