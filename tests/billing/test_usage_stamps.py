"""When usage is said to have happened: stamped once, within a period that is surely open."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from comp_billing import usage
from comp_billing.models import SubscriptionItem, UsageRecord, UsageState
from tests.billing.builders import (
    Site,
    standin_now,
    used,
)
from tests.billing.reports import CLOCK, EVENTS, ledger, report_again


def test_stamp_is_kept_by_every_later_try(site: Site) -> None:
    """The time of use that was sent once is the one that is always sent."""
    site.configure(**CLOCK)
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("refuse", path=EVENTS)
    usage.report_due()
    record.refresh_from_db()
    stamped = record.timestamp
    site.standin.advance(seconds=3600)

    report_again()

    record.refresh_from_db()
    assert (record.timestamp, record.state) == (stamped, UsageState.ACCEPTED)


def test_too_old_usage_is_put_aside(site: Site) -> None:
    """Usage that Stripe would not take any more is visibly expired."""
    record = used(site.shop(), site.subscriber())
    UsageRecord.objects.update(used_at=timezone.now() - timedelta(days=36))

    usage.report_due()

    record.refresh_from_db()
    assert (record.state, ledger(site)) == (UsageState.EXPIRED, [])


@pytest.mark.usefixtures("stopped_clock")
def test_usage_of_an_earlier_period_is_stamped_with_the_time_of_sending(site: Site) -> None:
    """A period that may be invoiced already takes no more usage; the real time stays here."""
    site.configure(**CLOCK)
    record = used(site.shop(), site.subscriber())
    site.standin.advance(months=1, seconds=7200)

    usage.report_due()

    record.refresh_from_db()
    (event,) = ledger(site)
    assert (event["timestamp"], record.timestamp) == (site.standin.now(), standin_now())
    assert record.used_at < record.timestamp - timedelta(days=27)


@pytest.mark.usefixtures("stopped_clock")
def test_usage_from_before_the_item_is_stamped_with_the_time_of_sending(site: Site) -> None:
    """Stripe counts an item's usage from the item's creation on; clocks differ a little."""
    site.configure(**CLOCK)
    record = used(site.shop(), site.subscriber())
    site.standin.advance(seconds=60)
    SubscriptionItem.objects.update(data={"created": int(timezone.now().timestamp()) + 30})

    usage.report_due()

    record.refresh_from_db()
    assert record.timestamp == standin_now()
