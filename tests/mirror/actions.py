"""What an account's owner and its customers may do there, chosen by numbers.

An action takes two numbers, which say to what, or with what, it is done; what Stripe refuses, or
what finds nothing to be done to, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from comp_billing.testing.standin import disputes
from comp_billing.testing.standin.changes import ENDED
from tests.mirror.account import Account, Json

CARDS = ("pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired")
CARD_PRESENT = {"off_session": False}
# Two licences and a metered price, and a customer with a card who has subscribed to one of them.
BEGINNING = (
    ("new product", 0, 0),
    ("new meter", 0, 0),
    ("new licence", 0, 0),
    ("new licence", 0, 1),
    ("new metered price", 0, 0),
    ("new customer", 0, 0),
    ("subscribe", 0, 0),
)

Action = Callable[[Account, int, int], object]
ACTIONS: dict[str, Action] = {}


def action(name: str) -> Callable[[Action], Action]:
    """Register what may be done under a name."""

    def add(function: Action) -> Action:
        ACTIONS[name] = function
        return function

    return add


# -- what is sold


@action("new product")
def new_product(account: Account, n: int, m: int) -> None:
    account.v1.products.create({"name": account.name()})


@action("rename product")
def rename_product(account: Account, n: int, m: int) -> None:
    account.v1.products.update(account.id("product", n), {"name": f"name {m % 2}"})


@action("archive product")
def archive_product(account: Account, n: int, m: int) -> None:
    account.v1.products.update(account.id("product", n), {"active": m % 2 == 1})


@action("delete product")
def delete_product(account: Account, n: int, m: int) -> None:
    """Only one without prices can be."""
    priced = {price.get("product") for price in account.world.store.where("price")}
    product = account.id("product", n, fits=lambda obj: obj["id"] not in priced)
    account.v1.products.delete(product)


@action("new licence")
def new_licence(account: Account, n: int, m: int) -> None:
    _price(account, n, {"unit_amount": 500 + 100 * m, "recurring": {"interval": "month"}})


@action("new metered price")
def new_metered_price(account: Account, n: int, m: int) -> None:
    meter = account.id("billing.meter", m, status="active")
    recurring = {"interval": "month", "usage_type": "metered", "meter": meter}
    _price(account, n, {"unit_amount_decimal": "0.5", "recurring": recurring})


def _price(account: Account, n: int, fields: Json) -> None:
    account.v1.prices.create({"product": account.id("product", n), "currency": "usd", **fields})


@action("note price")
def note_price(account: Account, n: int, m: int) -> None:
    account.v1.prices.update(account.id("price", n), {"metadata": {"note": str(m % 2)}})


@action("archive price")
def archive_price(account: Account, n: int, m: int) -> None:
    account.v1.prices.update(account.id("price", n), {"active": m % 2 == 1})


@action("delete price")
def delete_price(account: Account, n: int, m: int) -> None:
    account.v1.plans.delete(account.id("price", n))


@action("new meter")
def new_meter(account: Account, n: int, m: int) -> None:
    name = account.name()
    formula = {"formula": "sum"}
    account.v1.billing.meters.create(
        {"display_name": name, "event_name": name, "default_aggregation": formula}
    )


@action("rename meter")
def rename_meter(account: Account, n: int, m: int) -> None:
    name = {"display_name": f"name {m % 2}"}
    account.v1.billing.meters.update(account.id("billing.meter", n), name)


@action("switch meter")
def switch_meter(account: Account, n: int, m: int) -> None:
    meter = account.one("billing.meter", n)
    meters = account.v1.billing.meters
    switch = meters.deactivate if meter["status"] == "active" else meters.reactivate
    switch(meter["id"])


# -- who buys it


@action("new customer")
def new_customer(account: Account, n: int, m: int) -> None:
    account.v1.customers.create({"email": f"{account.name()}@example.org"})
    set_card(account, n, len(account.live("customer")) - 1)


@action("rename customer")
def rename_customer(account: Account, n: int, m: int) -> None:
    account.v1.customers.update(account.id("customer", n), {"email": f"{m % 2}@example.org"})


@action("set card")
def set_card(account: Account, n: int, m: int) -> None:
    customer = account.id("customer", m)
    card = account.v1.payment_methods.attach(CARDS[n % len(CARDS)], {"customer": customer})
    default = {"invoice_settings": {"default_payment_method": card.id}}
    account.v1.customers.update(customer, default)


@action("delete customer")
def delete_customer(account: Account, n: int, m: int) -> None:
    account.v1.customers.delete(account.id("customer", n))


@action("subscribe")
def subscribe(account: Account, n: int, m: int) -> None:
    account.v1.subscriptions.create(
        {
            "customer": account.id("customer", n),
            "items": [{"price": account.id("price", m, active=True)}],
            "billing_mode": {"type": "flexible"},
            "payment_behavior": "default_incomplete" if n % 2 else "allow_incomplete",
        }
    )


def _lives(obj: Json) -> bool:
    return obj["status"] not in ENDED


@action("note subscription")
def note_subscription(account: Account, n: int, m: int) -> None:
    note = {"metadata": {"note": str(m % 2)}}
    account.v1.subscriptions.update(account.id("subscription", n, fits=_lives), note)


@action("cancel later")
def cancel_later(account: Account, n: int, m: int) -> None:
    wish = {"cancel_at_period_end": m % 2 == 0}
    account.v1.subscriptions.update(account.id("subscription", n, fits=_lives), wish)


@action("cancel now")
def cancel_now(account: Account, n: int, m: int) -> None:
    subscription = account.id("subscription", n, fits=_lives)
    account.v1.subscriptions.cancel(subscription, {"invoice_now": m % 2 == 1})


def _items(account: Account, subscription: str) -> list[Json]:
    return account.live("subscription_item", subscription=subscription)


def _another_price(account: Account, subscription: str, m: int) -> str:
    taken = {item["price"]["id"] for item in _items(account, subscription)}
    return account.id("price", m, active=True, fits=lambda obj: obj["id"] not in taken)


@action("add item")
def add_item(account: Account, n: int, m: int) -> None:
    subscription = account.id("subscription", n, fits=_lives)
    price = _another_price(account, subscription, m)
    account.v1.subscription_items.create({"subscription": subscription, "price": price})


@action("remove item")
def remove_item(account: Account, n: int, m: int) -> None:
    """The last one cannot be."""
    subscription = account.id(
        "subscription", n, fits=lambda obj: _lives(obj) and len(_items(account, obj["id"])) > 1
    )
    item = account.id("subscription_item", m, subscription=subscription)
    account.v1.subscription_items.delete(item)


@action("try item")
def try_item(account: Account, n: int, m: int) -> None:
    """Added, and a little later removed again."""
    subscription = account.id("subscription", n, fits=_lives)
    price = _another_price(account, subscription, m)
    made = account.v1.subscription_items.create({"subscription": subscription, "price": price})
    account.world.advance(seconds=m)
    account.v1.subscription_items.delete(made.id)


@action("change item")
def change_item(account: Account, n: int, m: int) -> None:
    item = account.one("subscription_item", n)
    change: Json = {"quantity": 1 + m % 2}
    if item["quantity"] is None:
        change = {"metadata": {"note": str(m % 2)}}
    account.v1.subscription_items.update(item["id"], change)


@action("swap item")
def swap_item(account: Account, n: int, m: int) -> None:
    """One goes and one comes, told by one event."""
    subscription = account.id("subscription", n, fits=_lives)
    price = _another_price(account, subscription, m)
    items = [{"id": _items(account, subscription)[0]["id"], "deleted": True}, {"price": price}]
    account.v1.subscriptions.update(subscription, {"items": items})


# -- what is paid


@action("draft invoice")
def draft_invoice(account: Account, n: int, m: int) -> None:
    customer = account.id("customer", n)
    draft = account.v1.invoices.create({"customer": customer})
    item = {"customer": customer, "invoice": draft.id, "amount": 40 * m}
    account.v1.invoice_items.create(item)


@action("delete draft")
def delete_draft(account: Account, n: int, m: int) -> None:
    account.v1.invoices.delete(account.id("invoice", n, status="draft"))


@action("note invoice")
def note_invoice(account: Account, n: int, m: int) -> None:
    account.v1.invoices.update(account.id("invoice", n), {"metadata": {"note": str(m % 2)}})


@action("finalize invoice")
def finalize_invoice(account: Account, n: int, m: int) -> None:
    draft = account.id("invoice", n, status="draft")
    account.v1.invoices.finalize_invoice(draft, {"auto_advance": m % 2 == 1})


@action("pay invoice")
def pay_invoice(account: Account, n: int, m: int) -> None:
    invoice = account.id("invoice", n, fits=lambda obj: obj["status"] in ("open", "draft"))
    account.v1.invoices.pay(invoice, {"paid_out_of_band": True} if m == 5 else CARD_PRESENT)


@action("void invoice")
def void_invoice(account: Account, n: int, m: int) -> None:
    account.v1.invoices.void_invoice(account.id("invoice", n, status="open"))


@action("write invoice off")
def write_invoice_off(account: Account, n: int, m: int) -> None:
    account.v1.invoices.mark_uncollectible(account.id("invoice", n, status="open"))


@action("refund")
def refund(account: Account, n: int, m: int) -> None:
    charge = account.id("charge", n, status="succeeded")
    account.v1.refunds.create({"charge": charge, "amount": 10 * (1 + m)})


@action("dispute")
def dispute(account: Account, n: int, m: int) -> None:
    charge = account.id("charge", n, status="succeeded", fits=lambda obj: not obj["disputed"])
    disputes.raise_one(account.world, charge)


@action("accept dispute")
def accept_dispute(account: Account, n: int, m: int) -> None:
    account.v1.disputes.close(account.id("dispute", n, status="needs_response"))
