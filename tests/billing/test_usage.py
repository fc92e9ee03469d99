"""Usage on its way to Stripe: exactly once, in order, stamped once, never resent blindly."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from comp_billing import stripe_api, usage
from comp_billing.models import SubscriptionItem, UsageRecord, UsageState
from tests.billing.builders import (
    Site,
    at_once,
    ended,
    later,
    queued_run,
    several_writers,
    used,
)
from tests.billing.reports import CLOCK, EVENTS, later_start, ledger, report_again


def test_usage_reaches_stripe_as_recorded(site: Site) -> None:
    """The meter event has the record's identifier, customer, quantity and time of use."""
    record = used(site.shop(), site.subscriber(), seconds="2.5")
    SubscriptionItem.objects.update(current_period_start=record.used_at - timedelta(days=1))
    later_start()

    usage.report_due()

    record.refresh_from_db()
    (event,) = ledger(site)
    assert (event["identifier"], event["customer"], event["value"], event["timestamp"]) == (
        str(record.identifier),
        record.stripe_customer_id,
        25_000,
        int(record.used_at.timestamp()),
    )
    assert (record.state, record.timestamp, record.attempts) == (
        UsageState.ACCEPTED,
        record.used_at,
        1,
    )
    assert record.accepted_at is not None


def test_reporting_again_sends_nothing(site: Site) -> None:
    """What Stripe has taken is not sent again."""
    used(site.shop(), site.subscriber())
    usage.report_due()

    settled = usage.report_due()

    assert (settled, len(ledger(site))) == (0, 1)


def test_nothing_to_bill_is_not_sent(site: Site) -> None:
    """A record of quantity zero makes no call."""
    used(site.shop(), site.subscriber(), seconds="0")
    before = site.standin.calls.total()

    usage.report_due()

    assert site.standin.calls.total() == before


@pytest.mark.parametrize("fault", ["refuse", "500_before", "500_saved", "drop_after", "429", "401"])
def test_one_event_whatever_went_wrong(site: Site, fault: str) -> None:
    """One failure of any kind still ends in exactly one event with the recorded quantity."""
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add(fault, path=EVENTS)
    usage.report_due()
    site.configure(SECRET_KEY="sk_test_corrected")

    report_again()

    record.refresh_from_db()
    assert [event["value"] for event in ledger(site)] == [record.quantity]
    assert record.state == UsageState.ACCEPTED


def test_first_sending_is_committed_before_the_call(site: Site) -> None:
    """A crash during the call leaves a record that says that it may have been sent."""
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("drop_after", path=EVENTS)

    usage.report_due()

    record.refresh_from_db()
    assert (record.state, record.first_sent_at is not None, record.timestamp is not None) == (
        UsageState.SENDING,
        True,
        True,
    )


def test_refused_connection_is_in_doubt_but_rate_limit_is_not(site: Site) -> None:
    """After a 429 the record counts as never sent, so that it may be stamped afresh."""
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("429", path=EVENTS, retry_after=30)

    usage.report_due()

    record.refresh_from_db()
    assert (record.state, record.first_sent_at, record.timestamp) == (
        UsageState.PENDING,
        None,
        None,
    )
    assert record.next_attempt_at is not None
    assert record.next_attempt_at > timezone.now() + timedelta(seconds=29)


def test_in_doubt_for_a_day_is_put_aside(site: Site) -> None:
    """When Stripe may have forgotten the identifier, the record is unclear and not sent again."""
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("drop_after", path=EVENTS)
    usage.report_due()
    site.standin.advance(seconds=25 * 3600)
    record.refresh_from_db()
    later(record, hours=25)

    usage.report_due()

    record.refresh_from_db()
    assert (record.state, record.error_code, len(ledger(site))) == (
        UsageState.AMBIGUOUS,
        "no_answer",
        1,
    )


def test_in_doubt_for_less_is_repeated_under_the_same_identifier(site: Site) -> None:
    """Within the window a repeat is told to be a duplicate, which is a success."""
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("drop_after", path=EVENTS)
    usage.report_due()
    record.refresh_from_db()
    later(record, hours=22)

    usage.report_due()

    record.refresh_from_db()
    assert (record.state, record.attempts, len(ledger(site))) == (UsageState.ACCEPTED, 2, 1)


def test_refusal_is_final_and_says_why(site: Site) -> None:
    """What Stripe refuses is kept with its code and words for an operator."""
    record = used(site.shop(), site.subscriber())
    UsageRecord.objects.update(event_name="nobody_knows")

    usage.report_due()

    record.refresh_from_db()
    assert (record.state, record.error_code, record.next_attempt_at) == (
        UsageState.REJECTED,
        "no_meter",
        None,
    )
    assert "nobody_knows" in record.error_message


def test_refusal_after_a_lost_answer_is_unclear(site: Site) -> None:
    """The lost answer may have been a yes, so a later no does not settle it."""
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("drop_after", path=EVENTS)
    usage.report_due()
    UsageRecord.objects.update(event_name="nobody_knows")

    report_again()

    record.refresh_from_db()
    assert record.state == UsageState.AMBIGUOUS


def test_one_refused_record_does_not_hold_up_the_others(site: Site) -> None:
    """After a refusal the next record of the pair is sent in the same round."""
    project, payer = site.shop(), site.subscriber()
    bad, good = used(project, payer), used(project, payer)
    UsageRecord.objects.filter(pk=bad.pk).update(event_name="nobody_knows")

    usage.report_due()

    assert [event["identifier"] for event in ledger(site)] == [str(good.pk)]


def test_records_of_a_pair_go_in_order(site: Site) -> None:
    """Within a customer and a meter the first used is the first sent."""
    project, payer = site.shop(), site.subscriber()
    records = [used(project, payer, seconds=str(n)) for n in (3, 1, 2)]

    usage.report_due()

    assert [event["identifier"] for event in ledger(site)] == [str(r.pk) for r in records]


def test_record_that_waits_holds_back_the_later_ones_of_its_pair(site: Site) -> None:
    """One is on its way per customer and meter; other pairs are not held up."""
    project, ada, bob = site.shop(), site.subscriber("ada"), site.subscriber("bob")
    first = used(project, ada)
    used(project, ada)
    of_bob = used(project, bob)
    UsageRecord.objects.filter(pk=first.pk).update(
        next_attempt_at=timezone.now() + timedelta(hours=1)
    )

    usage.report_due()

    assert [event["identifier"] for event in ledger(site)] == [str(of_bob.pk)]


def test_tries_in_between_do_not_prolong_the_day(site: Site) -> None:
    """It is counted from the first sending, after which Stripe may have had it."""
    site.configure(**CLOCK)
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("drop_after", path=EVENTS)
    usage.report_due()
    site.standin.faults.add("refuse", path=EVENTS, times=2)
    for _outage in range(3):
        site.standin.advance(seconds=9 * 3600)
        report_again()

    record.refresh_from_db()
    assert (record.state, len(ledger(site))) == (UsageState.AMBIGUOUS, 1)


def test_round_ends_when_stripe_is_down(site: Site) -> None:
    """With Stripe down, a round makes one call and not one for each record."""
    project = site.shop()
    for name in ("ada", "bob", "eve"):
        used(project, site.subscriber(name))
    site.standin.faults.add("refuse", path=EVENTS, times=99)
    before = site.standin.calls.total()

    usage.report_due()

    assert site.standin.calls.total() - before == 1


def test_only_we_repeat_a_call(site: Site) -> None:
    """The SDK must not: a 429 after a lost answer would look as if nothing had been taken."""
    site.configure(NETWORK_RETRIES=2)
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("drop_after", path=EVENTS)

    usage.report_due()

    record.refresh_from_db()
    assert (record.state, site.standin.calls[f"POST {EVENTS}"]) == (UsageState.SENDING, 1)


def test_site_without_a_key_reports_nothing(site: Site) -> None:
    """Records wait while the key is taken away."""
    used(site.shop(), site.subscriber())
    site.configure(SECRET_KEY="")

    assert usage.report_due() == 0


def test_quantities_reach_stripe_to_the_last_unit(site: Site) -> None:
    """Stripe's ledger adds up to the receipts, exactly."""
    project, payer = site.shop(), site.subscriber()
    runs = [queued_run(project, payer) for _ in range(7)]
    records = [used(project, payer, seconds=f"0.33333{n}") for n in range(7)]

    usage.report_due()

    total = sum(event["value"] for event in ledger(site))
    assert (total, len(runs)) == (sum(record.quantity for record in records), 7)


@several_writers
def test_workers_at_once_send_each_record_once(site: Site) -> None:
    """Five reporters at the same moment: every record is sent once, none twice."""
    project, ada, bob = site.shop(), site.subscriber("ada"), site.subscriber("bob")
    records = [used(project, payer) for _ in range(10) for payer in (ada, bob)]
    before = site.standin.calls.total()

    at_once(usage.report_due, times=5)
    usage.report_due()

    sent = sorted(event["identifier"] for event in ledger(site))
    assert sent == sorted(str(record.pk) for record in records)
    assert site.standin.calls.total() - before == len(records)


def test_failed_run_reports_nothing(site: Site) -> None:
    """A run that failed never reaches Stripe."""
    project, payer = site.shop(), site.subscriber()
    ended(queued_run(project, payer), status="failed")

    usage.report_due()

    assert (ledger(site), stripe_api.is_configured()) == ([], True)
