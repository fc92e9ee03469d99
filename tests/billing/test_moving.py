"""Runs that end while their item is moving to another price: billed in the units of the outcome."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from comp_billing import intents, repricing, subscriptions, usage
from comp_billing.models import Intent, Plan, SubscriptionItem, UsageRecord
from comp_billing.sync import fetching
from comp_billing.usage import corrections, moving
from comp_users.models import Profile, Project
from tests.billing.builders import (
    Site,
    at_once,
    several_writers,
    standin_now,
    used,
)
from tests.billing.reports import CLOCK, ledger, report_again
from tests.billing.test_repricing import on, project, reprice, seconds

__all__ = ["project", "seconds"]
UPDATE = {"verb": "POST", "path": "/v1/subscription_items/*"}


@pytest.fixture
def payer(seconds: Site, project: Project) -> Profile:
    """On a plan of a cent a second, while the rate is two cents already."""
    seconds.configure(**CLOCK)
    profile = seconds.subscriber()
    seconds.standin.advance(seconds=60)
    reprice(seconds, project, "72")
    project.refresh_from_db()
    return profile


def call(site: Site, fault: str) -> None:
    """One call that moves the item, which goes wrong."""
    site.standin.faults.add(fault, **UPDATE)
    repricing.move_items()
    intents.carry_out_due()


def reprice_without_moves(project: Project, rate: str) -> None:
    """Another rate and its plan; nothing moves."""
    project.server_cost = Decimal(rate)
    project.save()
    Intent.objects.update(next_attempt_at=timezone.now())
    for _round in range(3):
        intents.carry_out_due(kinds={*intents.KINDS} - {moving.MOVE})


def plan_of(amount: str) -> Plan:
    """The plan of a price of a second, in cents."""
    return Plan.objects.get(amount_decimal=amount)


def run_of(project: Project, payer: Profile) -> UsageRecord:
    """Three seconds at two cents, ended by Stripe's clock."""
    record = used(project, payer, seconds="2.5")
    UsageRecord.objects.filter(pk=record.pk).update(used_at=standin_now())
    return record


@pytest.mark.parametrize("fault", ["drop_after", "refuse", "500_before", "500_saved"])
def test_usage_waits_for_the_outcome(
    seconds: Site, project: Project, payer: Profile, fault: str
) -> None:
    """Whatever became of the call, the receipts are what the invoice says."""
    call(seconds, fault)
    run_of(project, payer)
    usage.report_due()
    waiting = ledger(seconds)
    seconds.standin.advance(seconds=5)

    seconds.work()
    report_again()

    (record,) = UsageRecord.objects.all()
    told = [row["value"] for row in ledger(seconds)]
    seconds.standin.advance(months=1)
    (invoice,) = seconds.objects("invoice")
    assert (waiting, on(seconds), record.quantity, told, invoice["total"]) == ([], ["2"], 3, [3], 6)


def test_usage_of_a_move_that_is_refused_stays_as_it_was(
    seconds: Site, project: Project, payer: Profile
) -> None:
    """The old plan bills it, in its own units."""
    call(seconds, "500_before")
    run_of(project, payer)
    price = plan_of("2")
    seconds.standin.store.put({**seconds.standin.store.get("price", price.pk), "active": False})

    seconds.work()
    report_again()

    told = [row["value"] for row in ledger(seconds)]
    seconds.standin.advance(months=1)
    (invoice,) = seconds.objects("invoice")
    assert (on(seconds), told, invoice["total"]) == (["1"], [6], 6)


def test_others_are_not_kept_waiting(seconds: Site, project: Project, payer: Profile) -> None:
    """Nobody else's usage, nor the same user's of another model."""
    bob, other = seconds.subscriber("bob"), seconds.shop("Other")
    subscriptions.ensure_items()
    seconds.work()
    item = SubscriptionItem.objects.get(
        subscription__customer__user=payer.user, plan__product__project=project
    )
    subject = f"{moving.MOVE}:{item.pk}:{plan_of('2').pk}"
    Intent.objects.create(kind=moving.MOVE, subject=subject, params={"called": True})
    for whose, what in ((payer, project), (payer, other), (bob, project)):
        used(what, whose)

    usage.report_due()

    left = UsageRecord.objects.exclude(state="accepted").get()
    assert (left.run.payer, left.run.project) == (payer, project)


def test_run_that_ends_just_before_the_call_goes_first(
    seconds: Site, project: Project, payer: Profile
) -> None:
    """The intent was ready a moment ago; its usage is told before the item moves."""
    repricing.move_items()
    intent = intents.claim(Intent.objects.get(kind=moving.MOVE))
    assert intent is not None
    run_of(project, payer)

    outcome = intents.carry_out(intent)
    before = on(seconds)
    usage.report_due()
    seconds.work()

    told = [row["value"] for row in ledger(seconds)]
    assert (outcome.is_settled, before, told, on(seconds)) == (False, ["1"], [6], ["2"])


def test_run_that_ends_after_a_lost_answer_was_found(
    seconds: Site, project: Project, payer: Profile
) -> None:
    """No event has told of the move, and the answer that is replayed is dated of before it."""
    call(seconds, "drop_after")
    seconds.work()

    run_of(project, payer)
    report_again()

    told = [row["value"] for row in ledger(seconds)]
    plan = SubscriptionItem.objects.get().plan
    assert (on(seconds), plan, told) == (["2"], plan_of("2"), [3])


def test_usage_of_an_item_in_doubt_waits(seconds: Site, project: Project, payer: Profile) -> None:
    """Until Stripe has said which plan it is on."""
    record = run_of(project, payer)
    SubscriptionItem.objects.update(fetch_at=timezone.now())
    usage.report_due()
    waiting, taken = ledger(seconds), usage.queue.claim(record, standin_now())

    fetching.fetch_due()
    usage.report_due()

    assert (waiting, taken, [row["value"] for row in ledger(seconds)]) == ([], False, [6])


def test_answer_that_the_mirror_does_not_believe_is_asked_for(
    seconds: Site, project: Project, payer: Profile
) -> None:
    """What came before it was dated later: the item is in doubt, and its usage waits."""
    SubscriptionItem.objects.update(as_of=int(standin_now().timestamp()) + 3600)

    repricing.move_items()
    seconds.work()

    item = SubscriptionItem.objects.get()
    assert (on(seconds), item.fetch_at is not None) == (["2"], True)


def test_rate_that_changes_twice_moves_once_at_a_time(
    seconds: Site, project: Project, payer: Profile
) -> None:
    """To a third plan only when it is known what became of the second."""
    call(seconds, "drop_after")
    reprice_without_moves(project, "144")

    asked = repricing.move_items()
    seconds.work()
    run_of(project, payer)
    report_again()
    then = repricing.move_items()
    seconds.work()

    told = [row["value"] for row in ledger(seconds)]
    assert (asked, told, then, on(seconds)) == (0, [6], 1, ["4"])


def test_move_that_nobody_has_begun_is_withdrawn(
    seconds: Site, project: Project, payer: Profile
) -> None:
    """Its plan is not on offer any more."""
    repricing.move_items()
    reprice_without_moves(project, "108")

    made = repricing.move_items()

    left = Intent.objects.filter(kind=moving.MOVE)
    assert (made, [intent.params["price"] for intent in left]) == (1, [plan_of("3").pk])


def test_refused_move_looks_at_everything_again(
    seconds: Site, project: Project, payer: Profile
) -> None:
    """When an operator takes it up."""
    price = plan_of("2").pk
    seconds.standin.store.put({**seconds.standin.store.get("price", price), "active": False})
    repricing.move_items()
    seconds.work()

    intent = Intent.objects.get(kind=moving.MOVE)
    assert (intent.state, "called" in intent.params) == ("failed", False)


def test_unclear_usage_keeps_the_item(seconds: Site, project: Project, payer: Profile) -> None:
    """It may be told once more as it was."""
    run_of(project, payer)
    usage.report_due()
    UsageRecord.objects.update(state="ambiguous")

    made = repricing.move_items()

    assert (made, on(seconds)) == (0, ["1"])


def test_rejected_usage_is_reported_again_in_the_units_of_today(
    seconds: Site, project: Project, payer: Profile
) -> None:
    """Its item has moved since."""
    run_of(project, payer)
    usage.report_due()
    UsageRecord.objects.update(state="rejected")
    repricing.move_items()
    seconds.work()

    corrections.report_again(UsageRecord.objects.get(), reason="The cause is removed")
    usage.report_due()

    assert (on(seconds), UsageRecord.objects.get().quantity) == (["2"], 3)


@several_writers
def test_reporter_waits_for_the_outcome(seconds: Site, project: Project, payer: Profile) -> None:
    """What it sends is counted on the plan that the item is on once the transaction of the move is
    over."""
    record = run_of(project, payer)
    item, new = SubscriptionItem.objects.get(), plan_of("2")
    moved, turns = threading.Event(), [0, 1]

    def act() -> None:
        if turns.pop():
            with moving.locked(item.pk):
                SubscriptionItem.objects.filter(pk=item.pk).update(plan=new)
                moved.set()
                wait_for_somebody()
        else:
            moved.wait(10)
            usage.queue.claim(record, standin_now())

    at_once(act, times=2)

    assert (record.quantity, UsageRecord.objects.get().quantity) == (3, 3)


def wait_for_somebody() -> None:
    """Until another connection waits for a lock."""
    sql = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    for _ in range(1000):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            if cursor.fetchone()[0]:
                return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits")


def test_constant_prices_cost_no_statement(site: Site, django_assert_num_queries: Any) -> None:
    """Where nothing moves nothing is looked for."""
    site.shop()
    site.subscriber()
    item = SubscriptionItem.objects.get()

    with django_assert_num_queries(0), moving.locked(item.pk):
        moved = moving.has_moved_since(item, timezone.now(), meter_id="mtr_1")
        found = (moved, moving.is_still())

    assert found == (False, Q())
