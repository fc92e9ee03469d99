"""A project published later reaches every customer: each pair once, whatever comes between."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from comp_billing import intents, stripe_api, subscriptions
from comp_billing.intents import Kind
from comp_billing.models import Customer, Intent, Plan, Subscription, SubscriptionItem
from comp_billing.subscriptions import ADD
from tests.billing.builders import Site

CUSTOMERS = 200


class Crash(BaseException):
    """The worker's process dies."""


def crowd(site: Site, count: int) -> None:
    """So many customers, subscribed to everything on offer."""
    for number in range(count):
        site.user(f"user{number}")
    drained(site)


def drained(site: Site) -> None:
    """The worker at intents until none is left."""
    while Intent.objects.filter(state="pending").exists():
        site.work()


def pairs(site: Site) -> Counter[tuple[str, str]]:
    """At Stripe: how often a customer has a product."""
    customer = {one["id"]: one["customer"] for one in site.objects("subscription")}
    return Counter(
        (customer[item["subscription"]], item["price"]["product"])
        for item in site.objects("subscription_item")
    )


def planned(site: Site) -> int:
    """Rounds of the loop until nobody lacks anything; answers how many pairs were asked for."""
    return sum(iter(subscriptions.ensure_items, 0))


def test_each_pair_once_though_the_worker_dies_on_the_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of asking, and in the middle of calling, its answer lost."""
    site.shop("One")
    crowd(site, CUSTOMERS)
    site.shop("Two")
    real_plan, real = subscriptions.plan, intents.KINDS[ADD]
    asked, sent = iter(range(CUSTOMERS)), iter(range(CUSTOMERS))

    def die_asking(customer: str) -> list[Intent]:
        made = real_plan(customer)
        if next(asked) == 120:
            raise Crash
        return made

    def die_sending(intent: Intent) -> stripe_api.Answer:
        answer = real.send(intent)
        if next(sent) == 60:
            raise Crash
        return answer

    monkeypatch.setattr("comp_billing.subscriptions.fan_out.plan", die_asking)
    with pytest.raises(Crash):
        subscriptions.ensure_items()
    monkeypatch.setattr("comp_billing.subscriptions.fan_out.plan", real_plan)
    monkeypatch.setitem(intents.KINDS, ADD, Kind(send=die_sending, find=real.find))
    with pytest.raises(Crash):
        site.work()
    monkeypatch.setitem(intents.KINDS, ADD, real)
    planned(site)
    drained(site)

    found = pairs(site)
    assert (len(found), set(found.values())) == (2 * CUSTOMERS, {1})


@pytest.mark.parametrize("customers", [3, 30])
def test_a_round_over_customers_who_lack_nothing_costs_the_same(site: Site, customers: int) -> None:
    """The plans on offer, and one statement for each; nothing is written."""
    site.shop("One")
    site.shop("Two")
    crowd(site, customers)

    with CaptureQueriesContext(connection) as queries:
        made = subscriptions.ensure_items()

    assert (made, len(queries)) == (0, 3)


# -- periods


def weekly(site: Site, name: str, *, count: int = 1) -> Plan:
    """A project whose plan somebody has made by hand to be invoiced every so many weeks."""
    project = site.public_project(name)
    site.work()
    plan = Plan.objects.get(meter__project=project)
    recurring = {"interval": "week", "interval_count": count, "usage_type": "metered"}
    params = {"product": plan.product_id, "currency": "usd", "unit_amount_decimal": "0.0001"}
    stripe_api.call("post", f"/v1/prices/{plan.pk}", {"active": False})
    made = stripe_api.call(
        "post", "/v1/prices", {**params, "recurring": {**recurring, "meter": plan.meter_id}}
    )
    Plan.objects.filter(pk=plan.pk).update(active=False)
    return Plan.objects.create(
        stripe_id=made.data["id"],
        data=made.data,
        as_of=made.as_of,
        **Plan.columns(made.data),
    )


def shards(site: Site) -> list[tuple[str, int]]:
    """At Stripe: the period and the number of items of each subscription."""
    items = site.objects("subscription_item")
    return sorted(
        (recurring["interval"] + str(recurring["interval_count"]), len(own))
        for sub in site.objects("subscription")
        if (own := [item for item in items if item["subscription"] == sub["id"]])
        for recurring in [own[0]["price"]["recurring"]]
    )


def test_plans_of_different_periods_never_share_a_subscription(site: Site) -> None:
    """Neither by interval nor by its count; and by then everybody has everything."""
    site.shop("Monthly")
    weekly(site, "Weekly")
    weekly(site, "Fortnightly", count=2)

    crowd(site, 1)
    planned(site)
    drained(site)

    assert shards(site) == [("month1", 1), ("week1", 1), ("week2", 1)]


def test_a_later_plan_joins_the_subscription_of_its_period(site: Site) -> None:
    """Though another one has room too."""
    site.shop("Monthly")
    weekly(site, "Weekly")
    crowd(site, 1)
    weekly(site, "Weekly too")
    site.shop("Monthly too")

    planned(site)
    drained(site)

    assert shards(site) == [("month1", 2), ("week1", 2)]


def test_each_period_is_sharded_by_the_limit_of_items(site: Site) -> None:
    """And its shards turn over together."""
    site.configure(ITEMS_PER_SUBSCRIPTION=2)
    for number in range(3):
        weekly(site, f"Weekly {number}")
        site.shop(f"Monthly {number}")
    crowd(site, 1)
    planned(site)
    drained(site)

    ends = SubscriptionItem.objects.values_list("plan__interval", "current_period_end").distinct()
    assert (shards(site), len(ends)) == (
        [("month1", 1), ("month1", 2), ("week1", 1), ("week1", 2)],
        2,
    )
    assert (Customer.objects.count(), Subscription.objects.count()) == (1, 4)
