"""The stand-in's billing cycle: from usage to a paid or too small invoice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from comp_billing.testing.standin.periods import period_end
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


def test_the_least_charge_itself_is_charged(shop_account: Account) -> None:
    """50 cents are."""
    shop = open_shop(shop_account)
    shop.use(500_000, "run-1")

    shop.next_month()

    assert (shop.invoices()[0].amount_paid, shop.invoices()[0].ending_balance) == (50, 0)


@pytest.mark.parametrize(
    ("start", "turns"),
    [
        (datetime(2027, 1, 31, 12, tzinfo=UTC), ["2027-02-28", "2027-03-31", "2027-04-30"]),
        (datetime(2028, 1, 30, 12, tzinfo=UTC), ["2028-02-29", "2028-03-30", "2028-04-30"]),
        (datetime(2027, 3, 15, 12, tzinfo=UTC), ["2027-04-15", "2027-05-15", "2027-06-15"]),
    ],
)
def test_months_keep_their_day_where_they_have_it(start: datetime, turns: list[str]) -> None:
    """The 31st stays the 31st after a shorter month."""
    anchor = int(start.timestamp())
    found = []
    after = anchor

    for _ in turns:
        after = period_end(anchor, "month", 1, after)
        found.append(datetime.fromtimestamp(after, UTC).date().isoformat())

    assert found == turns
