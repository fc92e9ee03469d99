"""Meter events at the stand-in: what Stripe promises about them, and no more."""

from __future__ import annotations

import threading
import time

import pytest
import stripe

from tests.billing.standin_rig import Account, Shop, open_shop

DAY = 86400


@pytest.fixture
def shop(account: Account) -> Shop:
    """A subscribed customer, by both transports."""
    return open_shop(account)


def test_an_identifier_is_taken_once(shop: Shop) -> None:
    """The second event is 400 and counts nothing."""
    shop.use(5, "run-1")

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.use(5, "run-1")

    totals = shop.account.world.ledger()["totals"]
    found = (refusal.value.code, totals)
    assert found == ("duplicate_meter_event", {shop.customer.id: {shop.meter.id: 5}})


def test_an_identifier_is_forgotten_after_a_day(shop: Shop) -> None:
    """A blind resend counts twice then: no stronger promise than Stripe's."""
    shop.use(5, "run-1")
    shop.account.world.advance(seconds=DAY + 1)

    shop.use(5, "run-1")

    assert shop.account.world.ledger()["totals"] == {shop.customer.id: {shop.meter.id: 10}}


@pytest.mark.parametrize(
    ("offset", "code"),
    [
        (-35 * DAY - 60, "timestamp_too_far_in_past"),
        (360, "timestamp_in_future"),
        (-35 * DAY + 60, None),
        (240, None),
    ],
)
def test_timestamps_reach_35_days_back_and_5_minutes_ahead(
    shop: Shop, offset: int, code: str | None
) -> None:
    """Outside of that: 400."""
    refused = None

    try:
        shop.use(5, "run-1", timestamp=shop.account.world.now() + offset)
    except stripe.InvalidRequestError as refusal:
        refused = refusal.code

    assert refused == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"value": "1"}, "meter_event_no_customer_defined"),
        ({"stripe_customer_id": "cus_nobody", "value": "1"}, "meter_event_customer_not_found"),
        ({"stripe_customer_id": "{customer}", "value": "1.5"}, "meter_event_invalid_value"),
        ({"stripe_customer_id": "{customer}"}, "meter_event_invalid_value"),
        (
            {"stripe_customer_id": "{customer}", "value": "1234567890123456"},
            "meter_event_value_too_many_digits",
        ),
    ],
)
def test_a_payload_is_checked_at_once(shop: Shop, payload: dict[str, str], code: str) -> None:
    """No customer, an unknown one, no whole number, too long a number."""
    filled = {name: text.format(customer=shop.customer.id) for name, text in payload.items()}

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.account.v1.billing.meter_events.create(
            {"event_name": shop.meter.event_name, "payload": filled}
        )

    assert refusal.value.code == code


def test_an_inactive_meter_takes_nothing_until_it_is_active_again(shop: Shop) -> None:
    """`archived_meter` in between."""
    shop.account.v1.billing.meters.deactivate(shop.meter.id)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.use(5, "run-1")

    shop.account.v1.billing.meters.reactivate(shop.meter.id)
    shop.use(5, "run-1")

    totals = shop.account.world.ledger()["totals"]
    found = (refusal.value.code, totals)
    assert found == ("archived_meter", {shop.customer.id: {shop.meter.id: 5}})


def test_an_event_name_belongs_to_one_meter(shop: Shop) -> None:
    """A second active meter of that name is refused."""
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        shop.account.v1.billing.meters.create(
            {
                "display_name": "again",
                "event_name": shop.meter.event_name,
                "default_aggregation": {"formula": "sum"},
            }
        )

    assert refusal.value.code == "resource_already_exists"


def summary(shop: Shop, start: int, end: int) -> list[float]:
    """The aggregated values of a window."""
    params = {"customer": shop.customer.id, "start_time": start, "end_time": end}
    found = shop.account.v1.billing.meters.event_summaries.list(shop.meter.id, params).data
    return [one.aggregated_value for one in found]


def test_summaries_add_up_a_customers_window(shop: Shop) -> None:
    """Only what lies in it."""
    start = shop.account.world.now() // 60 * 60
    shop.use(5, "in", timestamp=start + 1)
    shop.use(7, "in, too", timestamp=start + 59)
    shop.use(11, "out", timestamp=start + 60)

    assert summary(shop, start, start + 60) == [12]


def test_summaries_are_aligned_to_minutes(shop: Shop) -> None:
    """Anything else is refused."""
    with pytest.raises(stripe.InvalidRequestError, match="aligned"):
        summary(shop, 61, 180)


def test_summaries_lag_behind_acceptance(shop: Shop) -> None:
    """An accepted event is not yet in the summary, later it is."""
    shop.account.world.settings["summary_lag_seconds"] = 300
    start = shop.account.world.now() // 60 * 60
    shop.use(5, "run-1")
    early = summary(shop, start, start + 120)

    shop.account.world.advance(seconds=301)

    assert (early, summary(shop, start, start + 120)) == ([], [5])


def test_a_cancelled_event_no_longer_counts(shop: Shop) -> None:
    """Within a day of its arrival: it is in no total and on no invoice."""
    shop.use(5, "run-1")
    shop.use(7, "run-2")

    shop.account.v1.billing.meter_event_adjustments.create(
        {
            "event_name": shop.meter.event_name,
            "type": "cancel",
            "cancel": {"identifier": "run-1"},
        }
    )
    shop.next_month()

    totals = shop.account.world.ledger()["totals"]
    found = (totals, shop.invoices()[0].lines.data[0].quantity)
    assert found == ({shop.customer.id: {shop.meter.id: 7}}, 7)


def test_an_event_cannot_be_cancelled_after_a_day(shop: Shop) -> None:
    """It counts for good."""
    shop.use(5, "run-1")
    shop.account.world.advance(seconds=DAY + 1)

    with pytest.raises(stripe.InvalidRequestError, match="within 24 hours"):
        shop.account.v1.billing.meter_event_adjustments.create(
            {
                "event_name": shop.meter.event_name,
                "type": "cancel",
                "cancel": {"identifier": "run-1"},
            }
        )

    assert shop.account.world.ledger()["totals"] == {shop.customer.id: {shop.meter.id: 5}}


def test_usage_rejected_afterwards_is_told_by_a_thin_event_only(shop: Shop) -> None:
    """The call succeeds, the ledger does not count it, and the report names the identifier."""
    shop.account.world.faults.add("reject_usage", code="archived_meter")

    shop.use(5, "run-1")

    (event,) = shop.account.client.v2.core.events.list().data
    (kind,) = event.data.reason.error_types
    assert {
        "type": event.type,
        "meter": event.related_object.id,
        "code": kind.code,
        "identifier": kind.sample_errors[0].request.identifier,
        "totals": shop.account.world.ledger()["totals"],
    } == {
        "type": "v1.billing.meter.error_report_triggered",
        "meter": shop.meter.id,
        "code": "archived_meter",
        "identifier": "run-1",
        "totals": {},
    }


def test_the_v2_call_takes_text_times(shop: Shop) -> None:
    """RFC 3339 instead of seconds."""
    made = shop.account.client.v2.billing.meter_events.create(
        {
            "event_name": shop.meter.event_name,
            "identifier": "run-1",
            "payload": {"stripe_customer_id": shop.customer.id, "value": "5"},
        }
    )

    totals = shop.account.world.ledger()["totals"]
    found = (made.identifier, totals)
    assert found == ("run-1", {shop.customer.id: {shop.meter.id: 5}})


def test_one_call_at_a_time_per_customer_and_meter(http_account: Account) -> None:
    """A second one meanwhile is 429 `lock_timeout`, and counts nothing."""
    shop = open_shop(http_account)
    http_account.world.faults.add("delay", path="/v1/billing/meter_events", seconds=0.5)
    first = threading.Thread(target=shop.use, args=(5, "run-1"))
    first.start()
    while http_account.world.calls["POST /v1/billing/meter_events"] == 0:
        time.sleep(0.005)

    with pytest.raises(stripe.RateLimitError) as refusal:
        shop.use(7, "run-2")

    first.join()
    code = refusal.value.json_body["error"]["code"]
    totals = http_account.world.ledger()["totals"]
    assert (code, totals) == ("lock_timeout", {shop.customer.id: {shop.meter.id: 5}})
