"""Credit grants at the stand-in: what they pay for, in which order, and what is left."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.billing.standin_rig import Account, Shop, metered_price, open_shop

DAY = 86400
# At a hundredth of a cent: so many units are a dollar.
DOLLAR = 1_000_000


@pytest.fixture
def shop(account: Account) -> Shop:
    """A subscribed customer, by both transports."""
    return open_shop(account)


def left(shop: Shop, **scope: Any) -> list[tuple[str, int, int]]:
    """The balances of the summary: currency, available, in the ledger."""
    summary = shop.account.v1.billing.credit_balance_summary.retrieve(
        {
            "customer": shop.customer.id,
            "filter": {
                "type": "applicability_scope",
                "applicability_scope": scope or {"price_type": "metered"},
            },
        }
    )
    return [
        (
            one.available_balance.monetary.currency,
            one.available_balance.monetary.value,
            one.ledger_balance.monetary.value,
        )
        for one in summary.balances
    ]


def transactions(shop: Shop) -> list[tuple[str, str, int]]:
    """What became of all credit, oldest first: grant's name, type, amount."""
    grants = {
        one.id: one.name
        for one in shop.account.v1.billing.credit_grants.list({"customer": shop.customer.id}).data
    }
    found = shop.account.v1.billing.credit_balance_transactions.list(
        {"customer": shop.customer.id, "limit": 100}
    ).data[::-1]
    sides = [(one, one.credit or one.debit) for one in found]
    return [
        (grants[one.credit_grant], side.type, side.amount.monetary.value) for one, side in sides
    ]


def billed(shop: Shop, dollars: int) -> Any:
    """The invoice of a month with so much usage."""
    shop.use(dollars * DOLLAR, f"run-{dollars}")
    shop.next_month()
    return shop.invoices()[0]


def test_a_grant_is_there_at_once(shop: Shop) -> None:
    """It is told of by events, and counted in the summary."""
    shop.grant()

    told = [name for name in shop.event_types() if "credit" in name]
    assert (left(shop), told) == (
        [("usd", 1000, 1000)],
        ["billing.credit_grant.created", "billing.credit_balance_transaction.created"],
    )


def test_without_a_grant_there_is_no_balance(shop: Shop) -> None:
    """One entry for each currency of a grant."""
    assert left(shop) == []


def test_credit_pays_for_metered_lines_when_the_invoice_is_finalised(shop: Shop) -> None:
    """The line keeps its amount; the total is what is left to pay."""
    shop.grant()

    invoice = billed(shop, 25)

    line = invoice.lines.data[0]
    shares = [one.amount for one in line.pretax_credit_amounts]
    assert (line.amount, shares, invoice.subtotal, invoice.total, invoice.amount_paid) == (
        2500,
        [1000],
        2500,
        1500,
        1500,
    )


def test_credit_that_pays_everything_leaves_the_rest(shop: Shop) -> None:
    """Nothing is charged, and the invoice is paid."""
    shop.grant()

    invoice = billed(shop, 4)

    assert (invoice.status, invoice.total, invoice.amount_paid, left(shop)) == (
        "paid",
        0,
        0,
        [("usd", 600, 600)],
    )


def test_a_draft_and_a_preview_use_no_credit(shop: Shop) -> None:
    """It is taken when the invoice is finalised, no sooner."""
    shop.grant()
    shop.use(4 * DOLLAR, "run")
    shop.account.world.advance(seconds=1)
    preview = shop.account.v1.invoices.create_preview({"subscription": shop.subscription.id})
    shop.account.world.advance(months=1)

    (draft,) = shop.invoices()

    assert (preview.total, draft.total, left(shop)) == (400, 400, [("usd", 1000, 1000)])


def test_credit_does_not_pay_for_what_is_not_metered(shop: Shop) -> None:
    """An amount on an invoice by hand is nobody's usage."""
    shop.grant()
    v1, customer = shop.account.v1, shop.customer.id
    draft = v1.invoices.create({"customer": customer, "currency": "usd"})
    v1.invoice_items.create({"customer": customer, "invoice": draft.id, "amount": 700})

    opened = v1.invoices.finalize_invoice(draft.id)

    assert (opened.total, left(shop)) == (700, [("usd", 1000, 1000)])


def test_grants_are_used_by_priority_then_expiry_then_category(shop: Shop) -> None:
    """What is urgent goes first, what was paid for last."""
    soon = shop.account.world.now() + 60 * DAY
    shop.grant(100, name="paid")
    shop.grant(100, name="promotional", category="promotional")
    shop.grant(100, name="expiring", expires_at=soon)
    shop.grant(100, name="urgent", priority=1)

    billed(shop, 4)

    used = [name for name, kind, _ in transactions(shop) if kind == "credits_applied"]
    assert used == ["urgent", "expiring", "promotional", "paid"]


def test_a_grant_for_certain_prices_pays_for_those(shop: Shop) -> None:
    """It is in the summary of those prices only."""
    prices = [{"id": shop.price.id}]
    shop.grant(applicability_config={"scope": {"prices": prices}})
    balances = (left(shop), left(shop, prices=prices))

    invoice = billed(shop, 25)

    assert (balances, invoice.total) == (([], [("usd", 1000, 1000)]), 1500)


def test_a_grant_for_other_prices_pays_nothing(shop: Shop) -> None:
    """It waits for the lines that it was given for."""
    other = metered_price(shop.account, name="weather")
    shop.grant(applicability_config={"scope": {"prices": [{"id": other.id}]}})

    invoice = billed(shop, 25)

    assert (invoice.total, left(shop, prices=[{"id": other.id}])) == (2500, [("usd", 1000, 1000)])


def test_a_grant_in_another_currency_pays_nothing(shop: Shop) -> None:
    """Nobody converts credit."""
    euros = {"type": "monetary", "monetary": {"currency": "eur", "value": 1000}}
    shop.grant(amount=euros)

    invoice = billed(shop, 25)

    assert (invoice.total, left(shop)) == (2500, [("eur", 1000, 1000)])


def test_a_grant_of_later_is_in_the_ledger_only(shop: Shop) -> None:
    """It pays for invoices that are finalised once it is in force."""
    shop.grant(effective_at=shop.account.world.now() + 60 * DAY)

    assert left(shop) == [("usd", 0, 1000)]


def test_a_grant_expires_by_itself(shop: Shop) -> None:
    """What is left is gone, and told of."""
    shop.grant(name="short", expires_at=shop.account.world.now() + DAY)

    shop.account.world.advance(seconds=DAY)

    assert (left(shop), transactions(shop)) == (
        [("usd", 0, 0)],
        [("short", "credits_granted", 1000), ("short", "credits_expired", 1000)],
    )


def test_a_grant_is_expired_by_hand(shop: Shop) -> None:
    """At once, and once."""
    grant = shop.grant()
    expired = shop.account.v1.billing.credit_grants.expire(grant.id)

    with pytest.raises(stripe.InvalidRequestError):
        shop.account.v1.billing.credit_grants.expire(grant.id)

    assert (expired.expires_at is None, left(shop)) == (False, [("usd", 0, 0)])


def test_an_unused_grant_is_voided(shop: Shop) -> None:
    """As if it had not been given."""
    voided = shop.account.v1.billing.credit_grants.void_grant(shop.grant().id)

    assert (voided.voided_at is None, left(shop)) == (False, [("usd", 0, 0)])


def test_a_used_grant_cannot_be_voided(shop: Shop) -> None:
    """Some of it has paid for an invoice."""
    grant = shop.grant()
    billed(shop, 4)

    with pytest.raises(stripe.InvalidRequestError):
        shop.account.v1.billing.credit_grants.void_grant(grant.id)

    assert left(shop) == [("usd", 600, 600)]


def test_a_voided_invoice_gives_its_credit_back(shop: Shop) -> None:
    """What it had used can be used again."""
    shop.grant()
    shop.use(25 * DOLLAR, "run")
    shop.account.world.advance(months=1)
    opened = shop.account.v1.invoices.finalize_invoice(shop.invoices()[0].id)

    shop.account.v1.invoices.void_invoice(opened.id)

    assert left(shop) == [("usd", 1000, 1000)]


def test_expiry_can_be_moved(shop: Shop) -> None:
    """The moment that was moved away does nothing."""
    now = shop.account.world.now()
    grant = shop.grant(expires_at=now + DAY)
    shop.account.v1.billing.credit_grants.update(grant.id, {"expires_at": now + 3 * DAY})

    shop.account.world.advance(seconds=2 * DAY)

    assert left(shop) == [("usd", 1000, 1000)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 0}}},
        {"applicability_config": {"scope": {}}},
        {"applicability_config": {"scope": {"prices": [{"id": "price_unknown"}]}}},
        {"expires_at": 1},
        {"priority": 101},
        {"customer": "cus_unknown"},
    ],
)
def test_what_no_grant_can_be_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    """As Stripe's reference has it."""
    with pytest.raises(stripe.InvalidRequestError):
        shop.grant(**wrong)
