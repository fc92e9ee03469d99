"""What changes when a billing period ends: limits, credit on drafts, and what can be corrected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from comp_billing import catalog, subscriptions, usage
from comp_billing.exceptions import CannotCorrect
from comp_billing.limits import credit, spending
from comp_billing.metering import StripeMeter
from comp_billing.models import (
    Correction,
    CreditBalance,
    Invoice,
    Plan,
    SubscriptionItem,
    UsageRecord,
    UsageState,
)
from comp_billing.usage import alarms, corrections, doubt
from comp_core.exceptions import RunRefused
from comp_core.lifecycle import submission
from comp_core.status import InputsStatus
from comp_users.models import Profile, Project
from tests.billing.builders import (
    Site,
    authorized_run,
    capped,
    customer_of,
    ended,
    queued_run,
    refusal,
    standin_now,
    used,
)
from tests.billing.reports import CLOCK, accepted, ledger, report_again
from tests.testapp.models import DoublingInputs, DoublingRun


def period_over() -> None:
    """The period in which everything was used has ended a moment ago."""
    SubscriptionItem.objects.update(
        current_period_start=timezone.now() - timedelta(days=30),
        current_period_end=timezone.now() - timedelta(seconds=1),
    )


def test_item_that_joined_later_counts_what_was_spent_before(site: Site) -> None:
    """A project of the same month is no way round the cap, although its item has begun since."""
    first, payer = site.shop(), capped(site.subscriber(), "0.15")
    ended(authorized_run(first, payer), seconds="9")
    second = site.public_project("Second")
    catalog.set_up_catalog([second])
    subscriptions.ensure_items()
    site.work()
    later = timezone.now() + timedelta(seconds=1)
    SubscriptionItem.objects.filter(plan__meter__project=second).update(current_period_start=later)

    assert "$0.09 are spent" in refusal(queued_run(second, payer))


@pytest.mark.parametrize(
    ("interval", "count", "days"),
    [("day", 3, 3), ("week", 1, 7), ("month", 1, 31), ("year", 1, 365)],
)
def test_period_is_a_whole_one(interval: str, count: int, days: int) -> None:
    """Whatever the plan's interval, for an item that has joined a day before its end."""
    end = datetime(2027, 2, 1, tzinfo=UTC)
    item = SubscriptionItem(
        plan=Plan(interval=interval, interval_count=count),
        current_period_start=end - timedelta(days=1),
        current_period_end=end,
    )
    assert end - spending.period_start(item) == timedelta(days=days)


def test_credit_on_a_draft_is_spent(site: Site) -> None:
    """Stripe takes it when the invoice is finalised; until then it is not there for other runs."""
    payer = site.subscriber()
    customer = customer_of(payer)
    CreditBalance.objects.create(customer=customer, available=1000, currency="usd", as_of=1)
    Invoice.objects.create(pk="in_1", customer=customer, status="draft", total=900, as_of=1)

    assert credit.available(payer) == Decimal(1)


def test_usage_of_a_period_that_has_ended_is_not_taken_back(site: Site) -> None:
    """An invoice has it by now: the credit stays open."""
    record = accepted(site)
    period_over()

    with pytest.raises(CannotCorrect, match="credit it instead"):
        corrections.take_back(UsageRecord.objects.get(pk=record.pk), reason="Wrong")

    assert len(corrections.credit([record], reason="Wrong")) == 1


def test_taking_back_that_comes_too_late_is_refused(site: Site) -> None:
    """Asked for in time, carried out after the period's end: nothing is sent, a credit is open."""
    record = accepted(site)
    corrections.take_back(record, reason="Wrong")
    period_over()

    site.work()

    record.refresh_from_db()
    refused = Correction.objects.get().refused_at
    assert (record.state, refused is not None) == (UsageState.ACCEPTED, True)
    assert [event["state"] for event in ledger(site)] == ["accepted"]


def test_rejected_usage_is_reported_with_a_time_that_is_billed(site: Site) -> None:
    """Its period has ended: under its new identifier it is stamped anew."""
    record = accepted(site)
    usage.reject(str(record.pk), code="no_meter", message="")
    period_over()
    site.standin.advance(seconds=7200)

    corrections.report_again(UsageRecord.objects.get(pk=record.pk), reason="Mended")
    report_again()

    assert ledger(site)[-1]["timestamp"] == site.standin.now()


def test_unclear_usage_of_a_period_that_has_ended_is_not_reported(site: Site) -> None:
    """It would be on no invoice, under the time that was told."""
    record = accepted(site)
    UsageRecord.objects.update(state=UsageState.AMBIGUOUS)
    period_over()

    with pytest.raises(CannotCorrect, match="on no invoice"):
        corrections.report_again(UsageRecord.objects.get(pk=record.pk), reason="I looked")


def test_missing_is_not_said_too_early(site: Site) -> None:
    """Stripe may not have counted it yet."""
    record = accepted(site)
    site.standin.settings["summary_lag_seconds"] = 900

    assert doubt.is_missing(record) is False


def test_totals_are_not_believed_while_usage_is_taken_back(site: Site) -> None:
    """An equal record of the same minute may be missing from the total, and not the unclear one."""
    record = accepted(site)
    twin = used(record.run.project, record.run.payer, seconds="250")
    values = {"timestamp": record.timestamp, "first_sent_at": record.first_sent_at}
    UsageRecord.objects.filter(pk=twin.pk).update(state=UsageState.AMBIGUOUS, **values)
    corrections.take_back(record, reason="Wrong")
    long_ago = timezone.now() - timedelta(hours=2)
    UsageRecord.objects.update(modified=long_ago, next_attempt_at=None)

    doubt.settle_doubts()

    twin.refresh_from_db()
    assert twin.state == UsageState.AMBIGUOUS


def test_waived_usage_that_is_counted_may_be_credited(site: Site) -> None:
    """Once it is marked as counted; not before, for nobody may have paid it."""
    record = accepted(site)
    UsageRecord.objects.update(state=UsageState.AMBIGUOUS)
    corrections.waive(UsageRecord.objects.get(pk=record.pk), reason="Lost")
    waived = UsageRecord.objects.get(pk=record.pk)
    with pytest.raises(CannotCorrect):
        corrections.credit([waived], reason="Counted")

    corrections.mark_counted(waived, reason="Found")

    assert spending.spending(record.run.payer, None).spent == Decimal("2.5")


def test_account_that_closes_during_a_submit_runs_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again under the lock that the closing has held."""
    payer = site.subscriber()
    Project.objects.create(slug=DoublingRun.Comp.slug, name="Doubling")
    inputs = DoublingInputs.objects.create(owner=payer, status=InputsStatus.VALID)
    lock = submission._lock_profiles

    def close_first(*args: Any, **options: Any) -> Any:
        Profile.objects.filter(pk=payer.pk).update(is_active=False)
        return lock(*args, **options)

    monkeypatch.setattr(submission, "_lock_profiles", close_first)
    with pytest.raises(RunRefused, match="may not run"):
        submission.submit(inputs)


def test_operators_who_are_nobody_are_told_later(site: Site, settings: Any) -> None:
    """Without MANAGERS nothing counts as told."""
    settings.MANAGERS = []
    accepted(site)
    UsageRecord.objects.update(state=UsageState.EXPIRED)

    assert (alarms.tell_of_unbilled(), UsageRecord.objects.get().alarmed_at) == (0, None)


def test_waived_usage_that_was_never_sent_is_expired_in_the_former_schema(site: Site) -> None:
    """Whose check does not know what is waived."""
    record = used(site.shop(), site.subscriber())
    UsageRecord.objects.update(state=UsageState.WAIVED)
    name = "comp_billing.migrations.0005_corrections_credit_and_caps"

    with connection.schema_editor() as editor:
        import_module(name).forget_waived(apps, editor)

    record.refresh_from_db()
    assert record.state == UsageState.EXPIRED


def test_spending_counts_where_time_is_played(site: Site) -> None:
    """Stripe's clock is a month ahead of ours, as in a demonstration: what is used now is spent."""
    site.configure(**CLOCK)
    project, payer = site.shop(), site.subscriber()
    site.standin.advance(months=1)
    begun = standin_now() - timedelta(minutes=1)
    SubscriptionItem.objects.update(
        current_period_start=begun, current_period_end=begun + timedelta(days=30)
    )

    ended(authorized_run(project, payer), seconds="9")

    item = SubscriptionItem.objects.get()
    item.plan = None
    assert spending.spending(payer, item).spent == Decimal("0.09")


def test_receipt_says_that_a_run_was_credited(site: Site) -> None:
    """Beside the state of its usage, which stays."""
    record = accepted(site)

    corrections.credit([record], reason="Wrong")

    receipt = StripeMeter().receipt(record.run)
    assert receipt is not None
    assert receipt.state == "Accepted, credited"
