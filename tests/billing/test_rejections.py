"""Usage that Stripe took and then did not count."""

from __future__ import annotations

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
