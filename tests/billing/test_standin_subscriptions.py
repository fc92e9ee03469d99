"""Subscriptions at the stand-in: items, changes, trials, licences, the end."""

from __future__ import annotations

import pytest
import stripe

from tests.billing.standin_rig import HOUR, Account, open_shop


def licence(account: Account, cents: int) -> str:
    """A monthly licence."""
    price = account.v1.prices.create(
        {
            "product": "comp_epidemic",
            "currency": "usd",
            "unit_amount": cents,
            "recurring": {"interval": "month"},
        }
    )
    return str(price.id)


def test_an_item_added_later_counts_only_its_own_time(shop_account: Account) -> None:
    """Usage before the item existed is not billed."""
    shop = open_shop(shop_account)
    shop_account.world.advance(seconds=10 * 86400)
    later = shop_account.v1.billing.meters.create(
        {"display_name": "b", "event_name": "b", "default_aggregation": {"formula": "sum"}}
    )
    price = shop_account.v1.prices.create(
        {
            "product": "comp_epidemic",
            "currency": "usd",
            "unit_amount": 1,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": later.id},
        }
    )
    payload = {"stripe_customer_id": shop.customer.id, "value": "100"}
    event = {"event_name": "b", "payload": payload}
    shop_account.v1.billing.meter_events.create(event)
    shop_account.world.advance(seconds=HOUR)
    shop_account.v1.subscription_items.create(
        {"subscription": shop.subscription.id, "price": price.id}
    )
    shop_account.v1.billing.meter_events.create(event)

    shop_account.world.advance(seconds=22 * 86400)

    lines = shop.invoices()[0].lines.data
    assert [line.amount for line in lines] == [0, 100]


def test_canceling_with_invoice_now_bills_what_was_used(account: Account) -> None:
    """The final invoice holds the usage until the end."""
    shop = open_shop(account)
    shop.use(1_000_000, "run-1")
    account.world.advance(seconds=HOUR)

    ended = account.v1.subscriptions.cancel(shop.subscription.id, {"invoice_now": True})
    account.world.advance(seconds=HOUR + 60)

    (invoice,) = shop.invoices()
    assert (ended.status, invoice.status, invoice.total) == ("canceled", "paid", 100)


def test_canceling_without_it_loses_the_usage(account: Account) -> None:
    """No invoice is ever made."""
    shop = open_shop(account)
    shop.use(1_000_000, "run-1")
    account.world.advance(seconds=HOUR)

    account.v1.subscriptions.cancel(shop.subscription.id)
    shop.next_month()

    assert shop.invoices() == []


def test_a_second_cancellation_finds_nothing(account: Account) -> None:
    """404 `resource_missing`."""
    shop = open_shop(account)
    account.v1.subscriptions.cancel(shop.subscription.id)

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        account.v1.subscriptions.cancel(shop.subscription.id)

    assert (refusal.value.http_status, refusal.value.code) == (404, "resource_missing")


def test_cancel_at_period_end_ends_there_with_a_last_invoice(shop_account: Account) -> None:
    """Active until the end of the period, then canceled and billed."""
    shop = open_shop(shop_account)
    shop.use(1_000_000, "run-1")
    item = shop.subscription.items.data[0]
    updated = shop_account.v1.subscriptions.update(
        shop.subscription.id, {"cancel_at_period_end": True}
    )

    shop.next_month()

    found = (updated.status, updated.cancel_at, shop.status(), shop.invoices()[0].total)
    assert found == ("active", item.current_period_end, "canceled", 100)


def test_usage_in_a_trial_is_free(shop_account: Account) -> None:
    """Told of three days before its end; billed from then on."""
    price = open_shop(shop_account).price
    customer = shop_account.v1.customers.create({"email": "grace@example.org"})
    trial = shop_account.v1.subscriptions.create(
        {"customer": customer.id, "items": [{"price": price.id}], "trial_period_days": 7}
    )
    payload = {"stripe_customer_id": customer.id, "value": "1000000"}
    event = {"event_name": "comp_epidemic", "payload": payload}
    shop_account.v1.billing.meter_events.create(event)

    shop_account.world.advance(seconds=8 * 86400)
    active = shop_account.v1.subscriptions.retrieve(trial.id)
    types = [one.type for one in shop_account.v1.events.list({"limit": 100}).data]
    shop_account.world.advance(months=1)

    invoices = shop_account.v1.invoices.list({"customer": customer.id}).data
    assert (
        trial.status,
        active.status,
        "customer.subscription.trial_will_end" in types,
        [invoice.total for invoice in invoices],
    ) == ("trialing", "active", True, [0])


def test_a_licensed_price_is_invoiced_in_advance(shop_account: Account) -> None:
    """Ten dollars a month: charged at once, and again when the month is over."""
    shop = open_shop(shop_account)
    price = shop_account.v1.prices.create(
        {
            "product": "comp_epidemic",
            "currency": "usd",
            "unit_amount": 1000,
            "recurring": {"interval": "month"},
        }
    )

    seat = shop_account.v1.subscriptions.create(
        {"customer": shop.customer.id, "items": [{"price": price.id, "quantity": 2}]}
    )
    shop.next_month()

    invoices = shop_account.v1.invoices.list({"subscription": seat.id}).data
    found = [(one.billing_reason, one.status, one.amount_paid) for one in invoices]
    assert (seat.status, found) == (
        "active",
        [("subscription_cycle", "paid", 2000), ("subscription_create", "paid", 2000)],
    )


def test_an_invoice_that_is_sent_waits_for_its_payer(shop_account: Account) -> None:
    """`send_invoice`: open, with a due date, and nothing is charged."""
    price = open_shop(shop_account).price
    customer = shop_account.v1.customers.create({"email": "grace@example.org"})
    shop_account.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price.id}],
            "collection_method": "send_invoice",
            "days_until_due": 14,
        }
    )
    payload = {"stripe_customer_id": customer.id, "value": "1000000"}
    shop_account.v1.billing.meter_events.create({"event_name": "comp_epidemic", "payload": payload})

    shop_account.world.advance(months=1)
    shop_account.world.advance(seconds=HOUR + 60)

    (invoice,) = shop_account.v1.invoices.list({"customer": customer.id}).data
    days = (invoice.due_date - invoice.effective_at) // 86400
    assert (invoice.status, invoice.attempted, days) == ("open", False, 14)


def test_a_price_change_bills_each_part_at_its_price(shop_account: Account) -> None:
    """Usage keeps the price that was in force when it was reported."""
    shop = open_shop(shop_account, unit="1")
    shop.use(100, "cheap")
    shop_account.world.advance(seconds=86400)
    dearer = shop_account.v1.prices.create(
        {
            "product": "comp_epidemic",
            "currency": "usd",
            "unit_amount": 2,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": shop.meter.id},
        }
    )
    item = shop.subscription.items.data[0]
    shop_account.v1.subscription_items.update(item.id, {"price": dearer.id})
    shop.use(100, "dear")

    shop.next_month()

    assert [line.amount for line in shop.invoices()[0].lines.data] == [100, 200]


def test_a_removed_item_leaves_its_usage_for_the_next_invoice(shop_account: Account) -> None:
    """Flexible billing keeps what was used before the item went."""
    shop = open_shop(shop_account, unit="1")
    other = shop_account.v1.prices.create(
        {
            "product": "comp_epidemic",
            "currency": "usd",
            "unit_amount": 5,
            "recurring": {"interval": "month"},
        }
    )
    shop_account.v1.subscription_items.create(
        {"subscription": shop.subscription.id, "price": other.id, "proration_behavior": "none"}
    )
    shop.use(100, "run-1")
    shop_account.world.advance(seconds=HOUR)

    shop_account.v1.subscription_items.delete(shop.subscription.items.data[0].id)
    shop.next_month()

    assert [line.amount for line in shop.invoices()[0].lines.data] == [100, 5]


def test_an_upgrade_is_prorated_on_the_next_invoice(shop_account: Account) -> None:
    """Half-way through: half of the old licence back, half of the new one charged."""
    shop = open_shop(shop_account)
    old, new = licence(shop_account, 1000), licence(shop_account, 3000)
    seat = shop_account.v1.subscriptions.create(
        {"customer": shop.customer.id, "items": [{"price": old}]}
    )
    item = seat.items.data[0]
    half = (item.current_period_start + item.current_period_end) // 2
    shop_account.world.advance(to=half)
    shop_account.v1.subscription_items.update(item.id, {"price": new})

    shop_account.world.advance(to=item.current_period_end + HOUR + 60)

    invoice = shop_account.v1.invoices.list({"subscription": seat.id}).data[0]
    lines = [
        (line.amount, line.parent.subscription_item_details.proration)
        for line in invoice.lines.data
    ]
    assert (invoice.status, lines) == ("paid", [(-500, True), (1500, True), (3000, False)])


def test_a_change_without_proration_costs_from_the_next_period_on(shop_account: Account) -> None:
    """`proration_behavior=none`."""
    shop = open_shop(shop_account)
    old, new = licence(shop_account, 1000), licence(shop_account, 3000)
    seat = shop_account.v1.subscriptions.create(
        {"customer": shop.customer.id, "items": [{"price": old}]}
    )
    item = seat.items.data[0]
    change = {"price": new, "proration_behavior": "none"}
    shop_account.v1.subscription_items.update(item.id, change)

    shop_account.world.advance(to=item.current_period_end + HOUR + 60)

    invoice = shop_account.v1.invoices.list({"subscription": seat.id}).data[0]
    assert [line.amount for line in invoice.lines.data] == [3000]


def test_a_price_is_on_a_subscription_once(shop_account: Account) -> None:
    """A second item of the same price is refused."""
    shop = open_shop(shop_account)

    with pytest.raises(stripe.InvalidRequestError, match="same plan"):
        shop_account.v1.subscription_items.create(
            {"subscription": shop.subscription.id, "price": shop.price.id}
        )


def test_a_subscription_has_room_for_so_many_items(shop_account: Account) -> None:
    """The account's limit."""
    shop_account.world.settings["item_limit"] = 1
    shop = open_shop(shop_account)

    with pytest.raises(stripe.InvalidRequestError, match="at most 1 items"):
        shop_account.v1.subscription_items.create(
            {"subscription": shop.subscription.id, "price": licence(shop_account, 100)}
        )
