"""Builders for the tests of the stand-in: an account, and a customer subscribed to a meter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import stripe

from comp_billing.testing import Server, StandIn, StandInClient, StandInControl

KEY = "sk_test_standin"
HOUR = 3600


@dataclass
class Account:
    """An account of the stand-in: the SDK's client on it, and the stand-in itself."""

    client: stripe.StripeClient
    world: StandIn
    base_url: str = ""

    @property
    def v1(self) -> Any:
        """The SDK's v1 services."""
        return self.client.v1

    @property
    def control(self) -> StandInControl:
        """The control API, where there is a server."""
        return StandInControl(self.base_url)


def in_process(standin: StandIn, *, key: str = KEY) -> Account:
    """The account without port or thread."""
    base = "http://stripe.test"
    client = stripe.StripeClient(
        key,
        http_client=StandInClient(standin),
        base_addresses={"api": base, "meter_events": base},
        max_network_retries=0,
    )
    return Account(client, standin)


def over_http(server: Server, *, key: str = KEY) -> Account:
    """The account behind a server."""
    base = server.base_url
    client = stripe.StripeClient(
        key, base_addresses={"api": base, "meter_events": base}, max_network_retries=0
    )
    return Account(client, server.world, base)


@dataclass
class Shop:
    """A customer subscribed to one metered price."""

    account: Account
    meter: Any
    price: Any
    customer: Any
    subscription: Any

    def use(self, value: int, identifier: str, **more: Any) -> Any:
        """A meter event."""
        payload = {"stripe_customer_id": self.customer.id, "value": str(value)}
        return self.account.v1.billing.meter_events.create(
            {
                "event_name": self.meter.event_name,
                "payload": payload,
                "identifier": identifier,
                **more,
            }
        )

    def grant(self, value: int = 1000, **more: Any) -> Any:
        """Credit in US cents, for every metered price unless told otherwise."""
        return self.account.v1.billing.credit_grants.create(
            {
                "customer": self.customer.id,
                "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": value}},
                "applicability_config": {"scope": {"price_type": "metered"}},
                **more,
            }
        )

    def next_month(self) -> None:
        """The cycle turned and the draft finalised."""
        self.account.world.advance(months=1)
        self.account.world.advance(seconds=HOUR + 60)

    def invoices(self) -> list[Any]:
        """The customer's invoices with their payments, newest first."""
        params = {"customer": self.customer.id, "expand": ["data.payments"]}
        return list(self.account.v1.invoices.list(params).data)

    def status(self) -> str:
        """The subscription's status."""
        return str(self.account.v1.subscriptions.retrieve(self.subscription.id).status)

    def event_types(self) -> list[str]:
        """What happened, oldest first."""
        found = self.account.v1.events.list({"limit": 100}).auto_paging_iter()
        return [event.type for event in found][::-1]


def metered_price(account: Account, *, unit: str = "0.0001", name: str = "epidemic") -> Any:
    """A meter and a monthly metered price on it, in US dollars; `unit` in cents."""
    account.v1.products.create({"id": f"comp_{name}", "name": name.title()})
    meter = account.v1.billing.meters.create(
        {
            "display_name": name,
            "event_name": f"comp_{name}",
            "default_aggregation": {"formula": "sum"},
        }
    )
    return account.v1.prices.create(
        {
            "product": f"comp_{name}",
            "currency": "usd",
            "unit_amount_decimal": unit,
            "recurring": {"interval": "month", "usage_type": "metered", "meter": meter.id},
        }
    )


def open_shop(account: Account, *, card: str | None = "pm_card_visa", unit: str = "0.0001") -> Shop:
    """A customer, with a card as the default unless it is None, on a metered subscription."""
    price = metered_price(account, unit=unit)
    customer = account.v1.customers.create({"email": "ada@example.org", "name": "Ada"})
    if card:
        method = account.v1.payment_methods.attach(card, {"customer": customer.id})
        default = {"invoice_settings": {"default_payment_method": method.id}}
        account.v1.customers.update(customer.id, default)
    subscription = account.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price.id}],
            "billing_mode": {"type": "flexible"},
            "payment_behavior": "default_incomplete",
            "proration_behavior": "none",
            "off_session": True,
        }
    )
    meter = account.v1.billing.meters.retrieve(price.recurring.meter)
    return Shop(account, meter, price, customer, subscription)


def refusal_of(error: pytest.ExceptionInfo[stripe.StripeError]) -> tuple[object, object, object]:
    """Status, code and parameter of Stripe's error answer."""
    body = error.value.json_body["error"]
    return error.value.http_status, body.get("code"), body.get("param")
