"""The stand-in's invoices by hand, disputes, deleted prices, and a clock that stands still."""

from __future__ import annotations

import pytest
import stripe

from comp_billing.testing import StandIn
from comp_billing.testing.standin import disputes
from tests.billing.standin_rig import Account, metered_price, open_shop

VISA = {"payment_method": "pm_card_visa"}


def draft(account: Account, amount: int) -> stripe.Invoice:
    """A draft of one item for a new customer with a card."""
    customer = account.v1.customers.create(VISA)
    invoice = account.v1.invoices.create({"customer": customer.id, "currency": "usd"})
    item = {"customer": customer.id, "invoice": invoice.id, "amount": amount, "currency": "usd"}
    account.v1.invoice_items.create(item)
    found: stripe.Invoice = account.v1.invoices.retrieve(invoice.id)
    return found


def told(account: Account) -> list[str]:
    """Types of the events, oldest first."""
    return [event["type"] for event in account.world.store.where("event")]


def test_a_draft_of_one_item_is_paid_by_hand(shop_account: Account) -> None:
    """No subscription has a part in it."""
    invoice = draft(shop_account, 500)

    paid = shop_account.v1.invoices.pay(invoice.id, VISA)

    assert (invoice.status, invoice.total, paid.status, paid.amount_paid, paid.parent) == (
        "draft",
        500,
        "paid",
        500,
        None,
    )


def test_a_deleted_draft_is_unknown_and_told_of(shop_account: Account) -> None:
    """Its number, were it asked for again, would be a mistake."""
    invoice = draft(shop_account, 500)

    shop_account.v1.invoices.delete(invoice.id)

    with pytest.raises(stripe.InvalidRequestError, match="No such invoice"):
        shop_account.v1.invoices.retrieve(invoice.id)
    item = shop_account.v1.invoice_items.list({"customer": str(invoice.customer)}).data[0]
    assert (told(shop_account)[-1], item.invoice) == ("invoice.deleted", None)


def test_what_is_no_longer_a_draft_stays(shop_account: Account) -> None:
    """Neither can it be deleted nor be added to."""
    invoice = draft(shop_account, 500)
    shop_account.v1.invoices.finalize_invoice(invoice.id)

    with pytest.raises(stripe.InvalidRequestError, match="delete draft invoices"):
        shop_account.v1.invoices.delete(invoice.id)
    with pytest.raises(stripe.InvalidRequestError, match="drafts only"):
        shop_account.v1.invoice_items.create(
            {"customer": str(invoice.customer), "invoice": invoice.id, "amount": 5}
        )


def test_a_dispute_is_told_by_itself_and_seen_in_its_charge(shop_account: Account) -> None:
    """Until it is accepted; no event is about the charge."""
    invoice = draft(shop_account, 500)
    shop_account.v1.invoices.pay(invoice.id, VISA)
    charge = shop_account.v1.charges.list({"customer": str(invoice.customer)}).data[0]
    raised = disputes.raise_one(shop_account.world, charge.id)

    closed = shop_account.v1.disputes.close(raised["id"])

    seen = shop_account.v1.charges.retrieve(charge.id)
    assert (seen.disputed, closed.status, told(shop_account)[-2:]) == (
        True,
        "lost",
        ["charge.dispute.created", "charge.dispute.closed"],
    )


def test_a_deleted_plan_is_a_deleted_price(shop_account: Account) -> None:
    """Both are told."""
    price = metered_price(shop_account)

    shop_account.v1.plans.delete(price.id)

    assert told(shop_account)[-2:] == ["plan.deleted", "price.deleted"]


def test_a_stopped_clock_moves_only_when_it_is_advanced(stripe_standin: StandIn) -> None:
    """So that several changes are made within one second."""
    stripe_standin.clock.stop(at=1_800_000_000)

    stripe_standin.advance(seconds=5)

    assert stripe_standin.now() == 1_800_000_005


def test_the_shop_goes_on_after_a_stop(shop_account: Account) -> None:
    """A month passes as it does otherwise."""
    shop_account.world.clock.stop()
    shop = open_shop(shop_account)
    shop.use(1_000_000, "run-1")

    shop.next_month()

    assert [invoice.status for invoice in shop.invoices()] == ["paid"]
