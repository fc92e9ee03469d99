"""Usage that Stripe took and then did not count."""

from __future__ import annotations

import pytest

from comp_billing import rejections, usage
from comp_billing.models import Event, UsageState
from tests.billing.builders import Site, used


def test_report_of_stripe_marks_the_record(site: Site) -> None:
    """The thin event is fetched, and the record that it names is rejected with its code."""
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("reject_usage", code="meter_event_customer_not_found")
    usage.report_due()
    (told,) = site.standin.store.where("v2.core.event")
    event = Event(stripe_id=told["id"], type=told["type"], payload={})

    rejections.mark_rejected(event, None, {})

    record.refresh_from_db()
    assert (record.state, record.error_code) == (
        UsageState.REJECTED,
        "meter_event_customer_not_found",
    )


def test_report_without_samples_marks_nothing() -> None:
    """A report of an unknown shape is read as far as it goes."""
    reports = [{}, {"data": None}, {"data": {"reason": {"error_types": [None, {"code": "x"}]}}}]

    assert [list(rejections.rejected(report)) for report in reports] == [[], [], []]


def test_rejected_afterwards_is_marked(site: Site) -> None:
    """Usage that Stripe took and then did not count is rejected, with Stripe's code."""
    record = used(site.shop(), site.subscriber())
    usage.report_due()

    found = usage.reject(str(record.pk), code="no_customer", message="No such customer.")

    record.refresh_from_db()
    assert (found, record.state, record.error_code, record.error_message) == (
        True,
        UsageState.REJECTED,
        "no_customer",
        "No such customer.",
    )


@pytest.mark.parametrize("identifier", ["", "not-a-uuid", "00000000-0000-4000-8000-000000000000"])
def test_rejection_of_somebody_elses_usage_is_passed_over(site: Site, identifier: str) -> None:
    """Identifiers that are not ours change nothing."""
    assert usage.reject(identifier, code="x", message="y") is False
