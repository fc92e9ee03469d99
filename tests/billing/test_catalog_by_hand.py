"""What somebody does to the catalogue by hand, in Stripe's dashboard: it is put right once."""

from __future__ import annotations

import pytest

from comp_billing import catalog, intents, stripe_api
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import post
from comp_billing.models import Intent, Plan, Product
from comp_billing.stripe_api import Answer
from comp_billing.sync import bulk
from tests.billing.builders import Site

ROUNDS = 8


def rounds(site: Site) -> dict[str, int]:
    """What a worker asks for that changes something, in several rounds."""
    site.standin.calls.clear()
    for _ in range(ROUNDS):
        site.standin.advance(seconds=30)
        catalog.plan_all()
        site.work()
    return {name: count for name, count in site.standin.calls.items() if name.startswith("POST")}


def by_hand(site: Site, path: str, **params: object) -> None:
    """A change in the dashboard, of which a list tells."""
    stripe_api.call("post", path, params)
    site.standin.advance(seconds=100)
    for model in (Product, Plan):
        bulk.read(model, anew=True)


def test_a_price_of_another_amount_that_holds_our_key_is_not_taken_for_ours(site: Site) -> None:
    """Ours, archived by hand, is made anew, and takes the key."""
    site.shop()
    plan = Plan.objects.get()
    metered = {"interval": "month", "usage_type": "metered", "meter": plan.meter_id}
    stripe_api.call("post", f"/v1/prices/{plan.pk}", {"active": False})
    by_hand(
        site,
        "/v1/prices",
        product=plan.product_id,
        currency="usd",
        unit_amount_decimal="0.5",
        recurring=metered,
        lookup_key=plan.data["lookup_key"],
        transfer_lookup_key=True,
    )
    made = rounds(site)
    (offered,) = catalog.plans_on_offer()
    assert (made, offered.amount_decimal, offered.data["lookup_key"]) == (
        {"POST /v1/prices": 1},
        plan.amount_decimal,
        plan.data["lookup_key"],
    )


def test_a_change_that_was_refused_is_asked_for_again_when_there_is_news(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renamed by hand, since Stripe refused it, and later archived by mistake."""
    project, product = site.shop(), Product.objects.get()

    def refuse(path: str, intent: Intent, params: dict[str, object]) -> Answer:
        raise StripeRefused("Not now.", code="product_locked")

    monkeypatch.setattr(intents, "post", refuse)
    project.name = "New"
    project.save()
    site.work()
    monkeypatch.setattr(intents, "post", post)
    path = f"/v1/products/{product.pk}"
    by_hand(site, path, name="New")
    untouched = rounds(site)
    by_hand(site, path, active=False)
    mended = rounds(site)
    assert (untouched, mended, Product.objects.get().active) == (
        {},
        {"POST /v1/products/{id}": 1},
        True,
    )
