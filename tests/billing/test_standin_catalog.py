"""Customers, cards, products and prices at the stand-in: how they are made and changed."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
import stripe

from tests.billing.standin_rig import Account, metered_price, open_shop, refusal_of


def test_metadata_is_merged_and_unset(account: Account) -> None:
    """Keys are added, an empty value removes one, an empty string all."""
    customer = account.v1.customers.create({"metadata": {"a": "1", "b": "2"}})

    merged = account.v1.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}})
    cleared = account.v1.customers.update(customer.id, {"metadata": ""})

    found = (merged.metadata.to_dict(), cleared.metadata.to_dict())
    assert found == ({"a": "1", "c": "3"}, {})


def test_a_deleted_customer_leaves_a_stub_and_no_subscription(account: Account) -> None:
    """Readable as deleted, left out of lists, its subscription canceled at once."""
    shop = open_shop(account)

    account.v1.customers.delete(shop.customer.id)

    stub = account.v1.customers.retrieve(shop.customer.id)
    assert (stub.deleted, account.v1.customers.list().data, shop.status()) == (True, [], "canceled")


def test_a_product_id_can_be_chosen_once(account: Account) -> None:
    """A second product of the same id is refused."""
    account.v1.products.create({"id": "comp_project_1", "name": "One"})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        account.v1.products.create({"id": "comp_project_1", "name": "Two"})

    assert refusal_of(refusal) == (400, "resource_already_exists", None)


def test_a_metered_price_needs_a_meter(account: Account) -> None:
    """Since basil."""
    account.v1.products.create({"id": "p", "name": "P"})
    recurring = {"interval": "month", "usage_type": "metered"}

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        account.v1.prices.create(
            {"product": "p", "currency": "usd", "unit_amount": 1, "recurring": recurring}
        )

    assert refusal_of(refusal) == (400, "parameter_missing", "recurring[meter]")


def test_a_lookup_key_moves_only_when_asked(account: Account) -> None:
    """Refused while another price has it, transferred with `transfer_lookup_key`."""
    price = metered_price(account)
    new = {"product": "comp_epidemic", "currency": "usd", "unit_amount": 1, "lookup_key": "run"}
    account.v1.prices.update(price.id, {"lookup_key": "run"})
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        account.v1.prices.create(new)

    moved = account.v1.prices.create({**new, "transfer_lookup_key": True})

    found = account.v1.prices.list({"lookup_keys": ["run"]}).data
    assert [one.id for one in found] == [moved.id]


def test_a_price_is_a_plan_too(account: Account) -> None:
    """The same id, the older face."""
    price = metered_price(account)

    plan = account.v1.plans.retrieve(price.id)

    assert (plan.id, plan.usage_type, plan.meter, str(plan.amount_decimal)) == (
        price.id,
        "metered",
        price.recurring.meter,
        "0.0001",
    )


def test_a_metered_item_takes_no_quantity(account: Account) -> None:
    """Refused, and no subscription is left behind."""
    price = metered_price(account)
    customer = account.v1.customers.create({})

    with pytest.raises(stripe.InvalidRequestError) as refusal:
        account.v1.subscriptions.create(
            {"customer": customer.id, "items": [{"price": price.id, "quantity": 1}]}
        )

    left = account.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data
    assert (refusal_of(refusal), left) == ((400, None, "quantity"), [])


@pytest.mark.parametrize(
    ("card", "code"), [("pm_card_chargeDeclined", "card_declined"), ("pm_card_visa", None)]
)
def test_saving_a_card_asks_the_bank(account: Account, card: str, code: str | None) -> None:
    """A card that the bank refuses is not attached."""
    customer = account.v1.customers.create({})
    intent = account.v1.setup_intents.create({"customer": customer.id, "payment_method": card})
    refused = None

    try:
        account.v1.setup_intents.confirm(intent.id)
    except stripe.CardError as refusal:
        refused = refusal.code

    methods = account.v1.payment_methods.list({"customer": customer.id}).data
    assert (refused, len(methods)) == (code, 0 if code else 1)


def test_a_declined_card_is_not_attached(account: Account) -> None:
    """402, and the customer has no card."""
    customer = account.v1.customers.create({})

    with pytest.raises(stripe.CardError) as refusal:
        account.v1.payment_methods.attach("pm_card_chargeDeclined", {"customer": customer.id})

    methods = account.v1.payment_methods.list({"customer": customer.id}).data
    assert (refusal.value.code, methods) == ("card_declined", [])


def test_every_answer_carries_its_date_and_request_id(account: Account) -> None:
    """The date is the account's, also after its clock was moved."""
    account.world.advance(months=2)

    made = account.v1.customers.create({})

    headers = made.last_response.headers
    date = int(parsedate_to_datetime(headers["Date"]).timestamp())
    assert (headers["Request-Id"][:4], made.created - date in (0, -1)) == ("req_", True)
