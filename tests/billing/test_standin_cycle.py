"""The stand-in's billing cycle: from usage to a paid, unpaid or too small invoice."""

from __future__ import annotations

import pytest
import stripe

from tests.billing.standin_rig import HOUR, Account, open_shop


def test_a_metered_subscription_is_active_at_once_without_an_invoice(account: Account) -> None:
    """Only metered items in flexible billing: nothing is due, nothing is invoiced."""
    shop = open_shop(account, card=None)

    assert (shop.subscription.status, shop.subscription.latest_invoice) == ("active", None)


def test_a_month_of_usage_becomes_one_paid_invoice(account: Account) -> None:
    """The line is the sum of the events times the unit, rounded once, and the card is charged."""
    shop = open_shop(account)
    shop.use(1_234_567, "run-1")
    shop.use(2_469_134, "run-2")

    shop.next_month()

    (invoice,) = shop.invoices()
    line = invoice.lines.data[0]
    intent = account.v1.payment_intents.retrieve(
        invoice.payments.data[0].payment.payment_intent, {"expand": ["latest_charge"]}
    )
    assert {
        "status": invoice.status,
        "quantity": line.quantity,
        "price": line.pricing.price_details.price,
        "total": invoice.total,
        "paid": invoice.amount_paid,
        "charged": intent.latest_charge.amount,
        "subscription": invoice.parent.subscription_details.subscription,
    } == {
        "status": "paid",
        "quantity": 3_703_701,
        "price": shop.price.id,
        "total": 370,
        "paid": 370,
        "charged": 370,
        "subscription": shop.subscription.id,
    }


def test_the_turn_of_the_cycle_is_told_in_order(shop_account: Account) -> None:
    """A paid cycle: subscription, draft, finalisation, payment, invoice."""
    shop = open_shop(shop_account)
    shop.use(1_000_000, "run-1")

    shop.next_month()

    told = shop.event_types()
    assert told[told.index("customer.subscription.updated") :] == [
        "customer.subscription.updated",
        "invoice.created",
        "payment_intent.created",
        "invoice.finalized",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


def test_half_a_cent_is_rounded_up_once_on_the_line(shop_account: Account) -> None:
    """Rounding is half up on the sum, not on the events."""
    shop = open_shop(shop_account, unit="0.5")
    for run in range(3):
        shop.use(67, f"run-{run}")

    shop.next_month()

    assert shop.invoices()[0].total == 101


def test_a_late_event_counts_until_the_draft_is_finalised(shop_account: Account) -> None:
    """Usage of the old period that arrives in the draft's hour is on the old invoice."""
    shop = open_shop(shop_account)
    shop.use(1_000_000, "in time")
    shop_account.world.advance(months=1)
    draft = shop.invoices()[0]

    shop.use(1_000_000, "late", timestamp=draft.period_end - 60)
    shop_account.world.advance(seconds=HOUR + 60)

    assert (draft.status, draft.total, shop.invoices()[0].total) == ("draft", 100, 200)


def test_an_event_after_finalisation_is_on_no_invoice(shop_account: Account) -> None:
    """Usage of a period that is closed when it arrives is lost, as at Stripe."""
    shop = open_shop(shop_account)
    shop_account.world.advance(months=1)
    end = shop.invoices()[0].period_end
    shop_account.world.advance(seconds=HOUR + 60)

    shop.use(1_000_000, "too late", timestamp=end - 60)
    shop.next_month()

    assert [invoice.total for invoice in shop.invoices()] == [0, 0]


def test_what_is_less_than_the_least_charge_moves_to_the_balance(shop_account: Account) -> None:
    """49 cents are not charged: the invoice counts as paid and the customer owes them."""
    shop = open_shop(shop_account)
    shop.use(490_000, "run-1")

    shop.next_month()

    invoice = shop.invoices()[0]
    customer = shop_account.v1.customers.retrieve(shop.customer.id)
    assert {
        "status": invoice.status,
        "total": invoice.total,
        "due": invoice.amount_due,
        "ending": invoice.ending_balance,
        "balance": customer.balance,
        "payments": invoice.payments.data,
    } == {
        "status": "paid",
        "total": 49,
        "due": 0,
        "ending": 49,
        "balance": 49,
        "payments": [],
    }


def test_the_balance_is_charged_with_the_next_invoice(shop_account: Account) -> None:
    """What was carried over is added to what is due."""
    shop = open_shop(shop_account)
    shop.use(490_000, "run-1")
    shop.next_month()
    shop.use(200_000, "run-2")

    shop.next_month()

    invoice = shop.invoices()[0]
    balance = shop_account.v1.customers.retrieve(shop.customer.id).balance
    assert (invoice.total, invoice.amount_paid, balance) == (20, 69, 0)


def test_a_month_without_usage_is_an_invoice_of_nothing_paid_at_once(account: Account) -> None:
    """Zero is paid without a charge."""
    shop = open_shop(account)

    shop.next_month()

    invoice = shop.invoices()[0]
    assert (invoice.status, invoice.total, invoice.payments.data) == ("paid", 0, [])


def test_a_declined_card_leads_through_retries_to_unpaid(shop_account: Account) -> None:
    """Past due from the first refusal, unpaid after the last."""
    shop = open_shop(shop_account, card="pm_card_chargeCustomerFail")
    shop.use(1_000_000, "run-1")
    shop.next_month()
    first = (shop.status(), shop.invoices()[0].attempt_count)

    shop_account.world.advance(seconds=16 * 86400)

    invoice = shop.invoices()[0]
    assert (first, shop.status(), invoice.status, invoice.attempt_count) == (
        ("past_due", 1),
        "unpaid",
        "open",
        4,
    )


def test_a_refused_payment_is_told_with_its_charge(shop_account: Account) -> None:
    """The charge fails, then the intent, then the invoice, and the subscription is past due."""
    shop = open_shop(shop_account, card="pm_card_chargeCustomerFail")
    shop.use(1_000_000, "run-1")

    shop.next_month()

    told = shop.event_types()
    start = told.index("charge.failed")
    assert told[start:] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "invoice.payment_failed",
        "customer.subscription.updated",
        "customer.updated",
    ]


def test_without_a_card_the_invoice_fails_without_a_charge(shop_account: Account) -> None:
    """No charge exists, the subscription is past due."""
    shop = open_shop(shop_account, card=None)
    shop.use(1_000_000, "run-1")

    shop.next_month()

    charges = shop_account.v1.charges.list({"customer": shop.customer.id}).data
    failed = "invoice.payment_failed" in shop.event_types()
    assert (charges, failed, shop.status()) == ([], True, "past_due")


def test_a_new_card_and_paying_by_hand_puts_it_right(shop_account: Account) -> None:
    """The customer pays: the invoice is paid, the subscription active, nobody delinquent."""
    shop = open_shop(shop_account, card=None)
    shop.use(1_000_000, "run-1")
    shop.next_month()
    method = shop_account.v1.payment_methods.attach("pm_card_visa", {"customer": shop.customer.id})

    shop_account.v1.invoices.pay(shop.invoices()[0].id, {"payment_method": method.id})

    customer = shop_account.v1.customers.retrieve(shop.customer.id)
    found = (shop.invoices()[0].status, shop.status(), customer.delinquent)
    assert found == ("paid", "active", False)


def test_paying_with_a_bad_card_is_refused_and_recorded(shop_account: Account) -> None:
    """402 from the bank, and the attempt counts."""
    shop = open_shop(shop_account, card="pm_card_chargeCustomerFail")
    shop.use(1_000_000, "run-1")
    shop.next_month()

    with pytest.raises(stripe.CardError) as refusal:
        shop_account.v1.invoices.pay(shop.invoices()[0].id)

    assert (refusal.value.code, shop.invoices()[0].attempt_count) == ("card_declined", 2)


def test_a_card_that_needs_its_holder_asks_for_action(shop_account: Account) -> None:
    """Off session the invoice waits; confirmed by the holder it is paid."""
    shop = open_shop(shop_account, card="pm_card_authenticationRequired")
    shop.use(1_000_000, "run-1")
    shop.next_month()
    asked = "invoice.payment_action_required" in shop.event_types()
    intent = shop.invoices()[0].payments.data[0].payment.payment_intent

    shop_account.v1.payment_intents.confirm(intent)

    assert (asked, shop.invoices()[0].status, shop.status()) == (True, "paid", "active")


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


def test_a_preview_shows_what_would_be_due_and_keeps_nothing(account: Account) -> None:
    """The running total of the period; no invoice is made by it."""
    shop = open_shop(account)
    shop.use(1_000_000, "run-1")
    account.world.advance(seconds=60)

    preview = account.v1.invoices.create_preview({"subscription": shop.subscription.id})

    assert (preview.total, preview.billing_reason, shop.invoices()) == (100, "upcoming", [])


def test_some_days_before_the_turn_the_next_invoice_is_told(shop_account: Account) -> None:
    """`invoice.upcoming` has the total so far and no id; it comes once a period."""
    shop = open_shop(shop_account)
    shop.use(1_000_000, "run-1")

    shop_account.world.advance(months=1)

    told = shop_account.v1.events.list({"type": "invoice.upcoming"}).data
    shown = [event.data.object.to_dict() for event in told]
    assert [(one["total"], "id" in one) for one in shown] == [(100, False)]


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
