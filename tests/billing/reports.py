"""Reporting usage to the stand-in, round after round."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from comp_billing import usage
from comp_billing.models import SubscriptionItem, UsageRecord
from tests.billing.builders import Site, used

EVENTS = "/v1/billing/meter_events"
CLOCK = {"CLOCK": "tests.billing.builders.standin_now"}


def accepted(site: Site, *, seconds: str = "250") -> UsageRecord:
    """Usage that Stripe has."""
    site.configure(**CLOCK)
    record = used(site.shop(), site.subscriber(), seconds=seconds)
    usage.report_due()
    record.refresh_from_db()
    return record


def ledger(site: Site) -> list[dict[str, Any]]:
    """The meter events that Stripe took, in the order of their arrival."""
    return [dict(row) for row in site.standin.store.rows("SELECT * FROM usage ORDER BY seq")]


def report_again() -> None:
    """A later round: everything that waits is due."""
    UsageRecord.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())
    usage.report_due()


def later_start() -> None:
    """Let the items have been there for a day."""
    for item in SubscriptionItem.objects.all():
        item.data["created"] -= 86_400
        item.save()
