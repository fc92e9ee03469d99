"""Payments at the stand-in: refusals, retries, authentication, recovery, refunds."""

from __future__ import annotations

import pytest
import stripe

from tests.billing.standin_rig import Account, open_shop


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


def test_retries_come_by_the_schedule(shop_account: Account) -> None:
    """Each failure waits as long as the account's settings say."""
    shop_account.world.settings["retry_seconds"] = [1000, 5000]
    shop = open_shop(shop_account, card="pm_card_chargeCustomerFail")
    shop.use(1_000_000, "run-1")
    shop.next_month()
    first = shop.invoices()[0]

    shop_account.world.advance(to=first.next_payment_attempt)

    second = shop.invoices()[0]
    waited = second.next_payment_attempt - first.next_payment_attempt
    assert (first.attempt_count, second.attempt_count, waited) == (1, 2, 5000)


@pytest.mark.parametrize("end", ["canceled", "past_due"])
def test_the_end_of_dunning_is_a_setting(shop_account: Account, end: str) -> None:
    """Canceled, or past due for good."""
    shop_account.world.settings["dunning_end"] = end
    shop_account.world.settings["retry_seconds"] = []
    shop = open_shop(shop_account, card=None)
    shop.use(1_000_000, "run-1")

    shop.next_month()

    assert shop.status() == end


def test_no_more_is_refunded_than_was_paid(shop_account: Account) -> None:
    """A part goes back, more than the rest is refused."""
    shop = open_shop(shop_account)
    shop.use(1_000_000, "run-1")
    shop.next_month()
    charge = shop_account.v1.charges.list({"customer": shop.customer.id}).data[0]
    shop_account.v1.refunds.create({"charge": charge.id, "amount": 40})

    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        shop_account.v1.refunds.create({"charge": charge.id, "amount": 61})

    after = shop_account.v1.charges.retrieve(charge.id)
    assert (after.amount_refunded, after.refunded) == (40, False)
