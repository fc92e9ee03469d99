"""Unclear usage: Stripe's totals decide where they can, and otherwise a person."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from comp_billing import usage
from comp_billing.models import Correction, SubscriptionItem, UsageRecord, UsageState
from comp_billing.usage import doubt
from tests.billing.builders import Site, used
from tests.billing.reports import CLOCK, EVENTS, later_start, ledger, report_again

SUMMARIES = "/v1/billing/meters/{id}/event_summaries"


def unclear(site: Site, fault: str = "drop_after", *, seconds: str = "2.5") -> UsageRecord:
    """A record whose answer was lost and not heard of for a day; nothing was sent for hours."""
    site.configure(**CLOCK)
    record = used(site.shop(), site.subscriber(), seconds=seconds)
    site.standin.faults.add(fault, path=EVENTS)
    usage.report_due()
    site.standin.advance(seconds=25 * 3600)
    report_again()
    long_ago()
    record.refresh_from_db()
    assert record.state == UsageState.AMBIGUOUS
    return record


def long_ago() -> None:
    """Everything was sent hours ago, and may be looked into now."""
    UsageRecord.objects.update(modified=timezone.now() - timedelta(hours=2), next_attempt_at=None)


def known_beside(record: UsageRecord, *, quantity: int) -> UsageRecord:
    """Usage of the same minute that Stripe has surely accepted."""
    twin = used(record.run.project, record.run.payer)
    UsageRecord.objects.filter(pk=twin.pk).update(
        state=UsageState.ACCEPTED,
        quantity=quantity,
        timestamp=record.timestamp,
        first_sent_at=record.first_sent_at,
        accepted_at=record.first_sent_at,
        modified=record.modified,
        next_attempt_at=None,
    )
    return twin


def audit() -> list[tuple[str, object]]:
    return list(Correction.objects.values_list("kind", "actor"))


def test_counted_usage_is_accepted(site: Site) -> None:
    """Its answer was lost, but Stripe's total of that minute includes it; nothing is sent."""
    record = unclear(site)

    decided = doubt.settle_doubts()

    record.refresh_from_db()
    assert (decided, record.state, len(ledger(site))) == (1, UsageState.ACCEPTED, 1)
    assert audit() == [("counted", None)]


def test_usage_that_is_not_counted_is_reported_again(site: Site) -> None:
    """Stripe never had it: it goes out under its identifier and with its stamp."""
    record = unclear(site, "refuse")
    SubscriptionItem.objects.update(current_period_end=timezone.now() + timedelta(days=20))
    stamped = record.timestamp

    doubt.settle_doubts()
    report_again()

    record.refresh_from_db()
    (event,) = ledger(site)
    assert (event["identifier"], event["value"]) == (str(record.pk), record.quantity)
    assert (record.state, record.timestamp) == (UsageState.ACCEPTED, stamped)
    assert audit() == [("resend", None)]


def test_usage_of_a_period_that_has_ended_is_a_persons(site: Site) -> None:
    """Reported now, it would be on no invoice, so nothing is sent and the operators are told."""
    record = unclear(site, "refuse")
    SubscriptionItem.objects.update(current_period_end=record.timestamp + timedelta(hours=1))

    doubt.settle_doubts()
    doubt.settle_doubts()

    record.refresh_from_db()
    assert (record.state, record.error_code, ledger(site)) == (
        UsageState.AMBIGUOUS,
        "not_counted",
        [],
    )
    assert site.standin.calls[f"GET {SUMMARIES}"] == 1


def test_total_that_fits_neither_decides_nothing(site: Site) -> None:
    """Somebody else reports on this meter too: the record stays unclear, and says why."""
    record = unclear(site)
    known_beside(record, quantity=7)

    doubt.settle_doubts()

    record.refresh_from_db()
    assert (record.state, record.error_code) == (UsageState.AMBIGUOUS, "unclear_total")
    assert record.error_message.startswith("Stripe has counted 25000 units of this customer")


def test_totals_are_not_believed_too_early(site: Site) -> None:
    """Something was sent for that minute a moment ago, which Stripe may not have counted yet."""
    record = unclear(site)
    UsageRecord.objects.update(modified=timezone.now())

    decided = doubt.settle_doubts()

    record.refresh_from_db()
    assert (decided, record.state) == (0, UsageState.AMBIGUOUS)
    assert site.standin.calls[f"GET {SUMMARIES}"] == 0


@pytest.mark.parametrize("fault", ["drop_after", "refuse"])
def test_outage_during_the_question_changes_nothing(
    site: Site, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked again in a later round."""
    record = unclear(site)
    site.standin.faults.add(fault, path="*event_summaries", times=6)
    monkeypatch.setattr("comp_billing.sync.pacing.time.sleep", lambda seconds: None)

    decided = doubt.settle_doubts()

    record.refresh_from_db()
    assert (decided, record.state) == (0, UsageState.AMBIGUOUS)


def test_customer_that_is_gone_leaves_it_unclear(site: Site) -> None:
    """Stripe tells no total of a deleted customer: it is the operators' from then on."""
    record = unclear(site)
    site.standin.store.put({**site.objects("customer")[0], "deleted": True})

    decided = doubt.settle_doubts()

    record.refresh_from_db()
    assert (decided, record.state) == (0, UsageState.AMBIGUOUS)


def test_nothing_unclear_makes_no_call(site: Site) -> None:
    """The usual round is one statement."""
    used(site.shop(), site.subscriber())
    later_start()
    usage.report_due()
    before = site.standin.calls.total()

    assert (doubt.settle_doubts(), site.standin.calls.total()) == (0, before)
