"""Entries of a customer's balance: credits and debts that the next invoice is settled with."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.listing import page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
KIND = "customer_balance_transaction"


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/customers/{id}/balance_transactions: a negative amount is a credit."""
    customer, params = world.need("customer", asked.args[0]), asked.params
    currency = params["currency"].lower()
    if not params["amount"]:
        raise ApiError("The amount must not be zero.", param="amount")
    if customer.get("currency") not in (None, currency):
        raise ApiError("The customer has another currency.", param="currency")
    balance = customer["balance"] + params["amount"]
    made = shape(
        KIND,
        id=ids.new_id(KIND),
        amount=params["amount"],
        created=world.now(),
        currency=currency,
        customer=customer["id"],
        description=params.get("description"),
        ending_balance=balance,
        livemode=False,
        metadata=params.get("metadata") or {},
        type="adjustment",
    )
    world.store.put(made)
    world.change(customer, "customer.updated", balance=balance, currency=currency)
    return made


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/customers/{id}/balance_transactions."""
    customer = world.need("customer", asked.args[0])
    return page(world, KIND, asked, equal={"customer": customer["id"]})
