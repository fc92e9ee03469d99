"""Customers: who is billed."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import cards, ids, subscriptions
from comp_billing.testing.standin.changes import ENDED
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import given, merged, stub
from comp_billing.testing.standin.listing import equal_to, limit_of, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
FIELDS = (
    "address", "balance", "business_name", "description", "email", "individual_name",
    "invoice_prefix", "metadata", "name", "next_invoice_sequence", "phone", "preferred_locales",
    "shipping", "tax_exempt",
)  # fmt: skip
TERM = re.compile(r'\s*(-?)(\w+)(?:\["([^"]+)"\])?\s*(:|~)\s*(?:"([^"]*)"|(null|\d+))\s*')


def _check_email(params: Json) -> None:
    email = params.get("email")
    if email and not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise ApiError(f"Invalid email address: {email}", code="email_invalid", param="email")


def create(world: "StandIn", asked: Request) -> Json:
    """POST /v1/customers."""
    params = asked.params
    _check_email(params)
    object_id = ids.new_id("customer")
    settings = {name: value for name, value in params.get("invoice_settings", {}).items() if value}
    fields: Json = {
        "balance": 0,
        "delinquent": False,
        "invoice_prefix": ids.letters(8).upper(),
        "metadata": {},
        "next_invoice_sequence": 1,
        "preferred_locales": [],
        "tax_exempt": "none",
    }
    fields |= given(params, FIELDS)
    customer = shape(
        "customer", id=object_id, created=world.now(), livemode=False, invoice_settings={}, **fields
    )
    world.store.put(customer)
    if method := params.get("payment_method"):
        cards.attach_to(world, method, object_id)
    if method := settings.get("default_payment_method"):
        settings["default_payment_method"] = _own_card(world, method, object_id)
    customer["invoice_settings"] |= settings
    return world.add(customer, "customer.created")


def _own_card(world: "StandIn", method: str, customer: str) -> str:
    """A payment method that may become the customer's default; test ids name the attached one."""
    found = cards.attached(world, method, customer)
    if found is None:
        raise ApiError(
            "The customer does not have a payment method with the ID "
            f"{method}. The payment method must be attached to the customer.",
            code="resource_missing",
            param="invoice_settings[default_payment_method]",
        )
    return str(found["id"])


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/customers/{id}: a deleted one is shown as a stub."""
    found = world.store.get("customer", asked.args[0])
    return found if found and found.get("deleted") else world.need("customer", asked.args[0])


def update(world: "StandIn", asked: Request) -> Json:
    """POST /v1/customers/{id}."""
    customer = world.need("customer", asked.args[0])
    _check_email(asked.params)
    params = dict(asked.params)
    settings = params.get("invoice_settings") or {}
    if method := settings.get("default_payment_method"):
        own = _own_card(world, method, customer["id"])
        params["invoice_settings"] = {**settings, "default_payment_method": own}
    fields = merged(customer, params, [*FIELDS, "invoice_settings"])
    return world.change(customer, "customer.updated", **fields)


def delete(world: "StandIn", asked: Request) -> Json:
    """DELETE /v1/customers/{id}: ends the subscriptions at once, without an invoice."""
    customer = world.need("customer", asked.args[0])
    for subscription in world.store.where("subscription", customer=customer["id"]):
        if subscription["status"] not in ENDED:
            subscriptions.end(world, subscription)
    for method in world.store.where("payment_method", customer=customer["id"]):
        world.change(method, "payment_method.detached", customer=None)
    world.store.put(stub(customer))
    world.events.emit("customer.deleted", customer)
    return stub(customer)


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/customers."""
    return page(world, "customer", asked, equal=equal_to(asked, "email"))


def search(world: "StandIn", asked: Request) -> Json:
    """GET /v1/customers/search: terms on email, name, phone and metadata, joined by AND."""
    terms = [_term(text) for text in re.split(r"\s+AND\s+", asked.params["query"].strip())]
    lag = world.now() - world.settings["search_lag_seconds"]
    found = [
        customer
        for customer in world.store.where("customer")[::-1]
        if not customer.get("deleted")
        and customer["created"] <= lag
        and all(term.holds(customer) for term in terms)
    ]
    start = int(asked.params.get("page", "0"))
    end = start + limit_of(asked.params)
    more = len(found) > end
    return {
        "object": "search_result",
        "data": found[start:end],
        "has_more": more,
        "next_page": str(end) if more else None,
        "url": asked.path,
    }


@dataclass(frozen=True)
class Term:
    """One condition of a search: a field, or a key of the metadata, and its value."""

    negated: bool
    name: str
    key: str | None
    operator: str
    value: str | None

    def holds(self, customer: Json) -> bool:
        """Whether a customer fits; text is compared without regard to case."""
        source = customer["metadata"] if self.name == "metadata" else customer
        actual = source.get(self.key or self.name)
        if self.value is None or actual is None:
            held = actual is None and self.value is None
        elif self.operator == "~":
            held = self.value.lower() in str(actual).lower()
        else:
            held = self.value.lower() == str(actual).lower()
        return held != self.negated


def _term(text: str) -> Term:
    match = TERM.fullmatch(text)
    if match is None:
        raise ApiError(f"We were unable to parse your search query: {text}", param="query")
    minus, name, key, operator, quoted, bare = match.groups()
    if name not in ("email", "name", "phone", "metadata", "created"):
        raise ApiError(f"Field `{name}` is an unsupported search field.", param="query")
    value = quoted if quoted is not None else (None if bare == "null" else bare)
    return Term(bool(minus), name, key, operator, value)
