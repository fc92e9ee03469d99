"""Usage that Stripe took and then did not count."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from comp_billing import events, rejections, stripe_api, usage, webhooks
from comp_billing.models import Correction, Event, UsageRecord, UsageState
from tests.billing.builders import Site, used
from tests.billing.told import ADDRESS, PEOPLE

MALFORMED: list[Any] = [
    {},
    {"data": None},
    {"data": {"reason": None}},
    {"data": {"reason": {"error_types": 5}}},
    {"data": {"reason": {"error_types": {"code": "x"}}}},
    {"data": {"reason": {"error_types": [None, {"code": "x"}]}}},
    {"data": {"reason": {"error_types": [{"code": 5, "sample_errors": "x"}]}}},
    {"data": {"reason": {"error_types": [{"sample_errors": [None, 5]}]}}},
    {"data": {"reason": {"error_count": "many", "error_types": []}}},
]
NAMELESS: list[Any] = [
    {"data": {"reason": {"error_types": [{"code": 5, "sample_errors": [{}]}]}}},
    {"data": {"reason": {"error_types": [{"sample_errors": [{"request": {"identifier": 7}}]}]}}},
    {"data": {"reason": {"error_types": [{"sample_errors": [{"error_message": ["x"]}]}]}}},
]


@pytest.fixture(autouse=True)
def managers(settings: Any) -> None:
    """Somebody to tell."""
    settings.MANAGERS = PEOPLE


def ingested(site: Site) -> None:
    """Stripe's own delivery of the reports, thin, as the webhook stores them."""
    for told in site.standin.store.where("v2.core.event"):
        thin = {key: value for key, value in told.items() if key != "data"}
        webhooks.ingest(webhooks.event_of(thin))


def answering(monkeypatch: pytest.MonkeyPatch, report: Any) -> None:
    """Let Stripe answer a call with this."""
    answer = stripe_api.Answer(data=report, date=1000, request_id="req_1", replayed=False)
    monkeypatch.setattr(stripe_api, "call", lambda *arguments, **options: answer)


def process(event_type: str = rejections.REPORTS[0]) -> Event:
    """What becomes of a thin event of a report."""
    payload = {
        "id": "evt_9",
        "object": "v2.core.event",
        "type": event_type,
        "created": "2026-11-22T10:00:00Z",
        "livemode": False,
    }
    webhooks.ingest(webhooks.event_of(payload))
    events.process_due_events()
    return Event.objects.get(pk="evt_9")


def test_report_of_stripe_marks_the_record_and_tells_the_operators(site: Site) -> None:
    """The thin event is fetched by the worker; the record that it names is rejected."""
    record = used(site.shop(), site.subscriber())
    site.standin.faults.add("reject_usage", code="meter_event_customer_not_found")
    usage.report_due()
    ingested(site)

    events.process_due_events()

    record.refresh_from_db()
    (message,) = mail.outbox
    expected = [
        "Stripe took 1 usage record and did not count it",
        "names 1 of them, which is marked as rejected",
        "The reasons given are: meter_event_customer_not_found",
        "the money is lost unless",
    ]
    assert (record.state, record.error_code, message.to) == (
        UsageState.REJECTED,
        "meter_event_customer_not_found",
        [ADDRESS],
    )
    assert [text for text in expected if text not in message.body] == []


@pytest.mark.parametrize("event_type", rejections.REPORTS)
def test_many_samples_are_told_once(
    site: Site, monkeypatch: pytest.MonkeyPatch, event_type: str
) -> None:
    """Of both kinds of report; Stripe counts all and names some."""
    records = [used(site.shop(), site.subscriber("ada")), used(site.shop(), site.subscriber("bob"))]
    usage.report_due()
    samples = [
        {"error_message": "No.", "request": {"identifier": str(record.pk)}} for record in records
    ]
    errors = [{"code": "no_meter", "error_count": 700, "sample_errors": samples}]
    answering(monkeypatch, {"data": {"reason": {"error_count": 700, "error_types": errors}}})

    process(event_type)

    states = set(UsageRecord.objects.values_list("state", "error_code"))
    subjects = [message.subject.split("] ")[-1] for message in mail.outbox]
    assert (states, subjects) == (
        {("rejected", "no_meter")},
        ["Stripe did not count 700 usage records: evt_9"],
    )


@pytest.mark.parametrize("report", [*MALFORMED, *NAMELESS])
def test_report_of_an_unknown_shape_is_told_and_done_with(
    site: Site, monkeypatch: pytest.MonkeyPatch, report: Any
) -> None:
    """Read as far as it goes, and never tried for ever."""
    answering(monkeypatch, report)

    event = process()

    assert (event.state, event.attempts, len(mail.outbox)) == ("processed", 1, 1)


@pytest.mark.parametrize("report", MALFORMED)
def test_report_without_samples_names_nothing(report: Any) -> None:
    """Whatever else is in it."""
    assert list(rejections.rejected(report)) == []


def test_report_that_stripe_has_forgotten_is_told_and_done_with(site: Site) -> None:
    """After thirty days it is gone; asking again would not help."""
    event = process()

    assert (event.state, [m.subject.split("] ")[-1] for m in mail.outbox]) == (
        "processed",
        ["Stripe did not count some usage, and does not say which: evt_9"],
    )


def test_report_is_fetched_later_while_stripe_is_down(site: Site) -> None:
    """Nothing is lost, and nobody is told before there is something to tell."""
    site.standin.faults.add("500_before")

    event = process()

    assert (event.state, mail.outbox) == ("failed", [])


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


@pytest.mark.parametrize(
    ("was_sent_anew", "hours", "state"),
    [(True, 0, "rejected"), (True, -2, "accepted"), (False, -2, "rejected")],
)
def test_report_of_an_earlier_sending_is_about_nothing(
    site: Site, was_sent_anew: bool, hours: int, state: str
) -> None:
    """Unclear usage was sent anew under its identifier, as Stripe's total did not have it; then
    Stripe tells why it had not."""
    record = used(site.shop(), site.subscriber())
    if was_sent_anew:
        Correction.objects.create(record=record, kind="resend", reason="Not counted.")
    usage.report_due()
    until = timezone.now() + timedelta(hours=hours)

    usage.reject(str(record.pk), code="no_customer", message="", until=until)

    record.refresh_from_db()
    assert record.state == state


@pytest.mark.parametrize("identifier", ["", "not-a-uuid", "00000000-0000-4000-8000-000000000000"])
def test_rejection_of_somebody_elses_usage_is_passed_over(site: Site, identifier: str) -> None:
    """Identifiers that are not ours change nothing."""
    assert usage.reject(identifier, code="x", message="y") is False
