"""Licensed plans: sold by whoever makes them, mirrored here, never taken for metered ones."""

from __future__ import annotations

from typing import Any

import pytest

from comp_billing import catalog, mirror, stripe_api, subscriptions
from comp_billing.models import Intent, Plan, SubscriptionItem
from comp_users.models import Project
from tests.billing.builders import Site, customer_of, queued_run, refusal, used


def learned(path: str, params: dict[str, Any]) -> dict[str, Any]:
    """Something made by hand at Stripe, of which we have heard."""
    answer = stripe_api.call("post", path, params)
    mirror.upsert(
        [answer.data],
        as_of=answer.as_of,
        rank=mirror.Rank.LIST,
        api_version=stripe_api.API_VERSION,
    )
    return answer.data


def licence(project: Project, *, amount: str = "500") -> str:
    """A licensed plan of a project's product, by the month."""
    recurring = {"interval": "month", "usage_type": "licensed"}
    params = {"product": project.product.pk, "currency": "usd", "recurring": recurring}
    return str(learned("/v1/prices", {**params, "unit_amount_decimal": amount})["id"])


@pytest.fixture
def project(site: Site) -> Project:
    """On sale."""
    return site.shop()


def test_a_licence_is_mirrored(site: Site, project: Project) -> None:
    """As a plan of the product, without a meter."""
    key = licence(project)

    plan = Plan.objects.get(pk=key)
    assert (plan.usage_type, plan.meter_id, plan.product.project) == ("licensed", None, project)


@pytest.mark.parametrize("amount", ["500", "0.0001"])
def test_a_licence_is_not_on_offer_to_everybody(site: Site, project: Project, amount: str) -> None:
    """Though it may cost what a unit of usage does: nobody is subscribed to it."""
    licence(project, amount=amount)

    site.subscriber()
    subscriptions.ensure_items()
    site.work()

    types = [item["price"]["recurring"]["usage_type"] for item in site.objects("subscription_item")]
    assert types == ["metered"]


def test_a_licence_does_not_stand_in_for_the_metered_plan(site: Site, project: Project) -> None:
    """Which is made although there is a licence of the same amount."""
    licence(project, amount="0.0001")
    metered = Plan.objects.get(usage_type="metered")
    stripe_api.call("post", f"/v1/prices/{metered.pk}", {"active": False})
    Plan.objects.filter(pk=metered.pk).update(active=False)

    catalog.set_up_catalog()

    (offered,) = catalog.plans_on_offer()
    assert (offered.usage_type, offered.pk == metered.pk) == ("metered", False)


def test_a_licence_bills_no_usage(site: Site, project: Project) -> None:
    """A run of who has both is on the metered item."""
    payer = site.subscriber()
    subscription = customer_of(payer).subscriptions.get().pk
    learned("/v1/subscription_items", {"subscription": subscription, "price": licence(project)})

    record = used(project, payer)

    assert record.subscription_item.plan.usage_type == "metered"


def test_a_licence_alone_does_not_pay_for_runs(site: Site, project: Project) -> None:
    """Who has no metered item is refused until there is one."""
    payer = site.subscriber()
    subscription = customer_of(payer).subscriptions.get().pk
    learned("/v1/subscription_items", {"subscription": subscription, "price": licence(project)})
    SubscriptionItem.objects.filter(plan__usage_type="metered").update(deleted=True)

    assert "being set up" in refusal(queued_run(project, payer))


def test_a_licensee_is_subscribed_to_the_metered_plan_too(site: Site, project: Project) -> None:
    """A licence takes the place of nothing; the metered item joins its subscription."""
    site.configure(SUBSCRIBE_ON="first_run")
    payer = site.subscriber()
    params = {"customer": customer_of(payer).pk, "items": [{"price": licence(project)}]}
    learned("/v1/subscriptions", params)
    site.configure(SUBSCRIBE_ON="sign_up")

    subscriptions.ensure_items()
    site.work()

    kinds = list(Intent.objects.filter(kind__startswith="subscription").values_list("kind"))
    assert kinds == [("subscription_item.create",)]
