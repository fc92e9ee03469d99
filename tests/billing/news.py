"""What the stand-in tells the site: its events delivered, and the worker's turn with them."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.utils import timezone

from comp_billing import events, stripe_api
from comp_billing.models import Event
from comp_users.models import Profile
from tests.billing.builders import Site, customer_of
from tests.billing.deliveries import ADDRESS, SECRET


def listen(site: Site) -> Site:
    """The site, told of every event of the stand-in's from now on."""
    site.standin.add_webhook(f"https://site.test{ADDRESS}", secret=SECRET)
    return site


def hear(site: Site) -> None:
    """Deliver what there is to tell, a second later, and have the worker do what follows."""
    client = Client()

    def post(body: bytes, headers: dict[str, str]) -> int:
        return client.post(ADDRESS, body, "application/json", headers=headers).status_code

    site.standin.advance(seconds=1)
    site.standin.deliver(post, everything=True)
    Event.objects.filter(next_attempt_at__gt=timezone.now()).update(next_attempt_at=timezone.now())
    events.process_due_events(limit=1000)


def granted(site: Site, payer: Profile, value: int = 1000, **more: Any) -> dict[str, Any]:
    """Credit of the payer's, in US cents, as an operator gives it in the dashboard."""
    params = {
        "customer": customer_of(payer).pk,
        "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": value}},
        "applicability_config": {"scope": {"price_type": "metered"}},
        **more,
    }
    return stripe_api.call("post", "/v1/billing/credit_grants", params).data


def consumed(site: Site, payer: Profile, *, dollars: int, meter: int = 0) -> None:
    """Usage of the payer's at Stripe, of the oldest meter or a later one, a second ago."""
    event_name = site.objects("billing.meter")[meter]["event_name"]
    payload = {"stripe_customer_id": customer_of(payer).pk, "value": str(dollars * 1_000_000)}
    stripe_api.call(
        "post", "/v1/billing/meter_events", {"event_name": event_name, "payload": payload}
    )
    site.standin.advance(seconds=1)


def month_billed(site: Site, payer: Profile, *, dollars: int) -> None:
    """A month with so much usage, invoiced, finalised and told."""
    consumed(site, payer, dollars=dollars)
    site.standin.advance(months=1)
    site.standin.advance(seconds=3660)
    hear(site)
