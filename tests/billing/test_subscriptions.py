"""Every customer has one live item for every public plan."""

from __future__ import annotations

import pytest

from comp_billing import intents, products, stripe_api, subscriptions
from comp_billing.models import Intent, Plan, SubscriptionItem
from comp_core.maintenance import run_all_once
from tests.billing.builders import Site, at_once, customer_of, later, several_writers


def subscribed(site: Site) -> list[tuple[str, list[str]]]:
    """At Stripe: each subscription's status and the products of its items."""
    items = site.objects("subscription_item")
    return [
        (
            sub["status"],
            sorted(item["price"]["product"] for item in items if item["subscription"] == sub["id"]),
        )
        for sub in site.objects("subscription")
    ]


def product_ids(*projects: object) -> list[str]:
    """Of projects, as the catalogue chooses them."""
    return sorted(products.product_id(project) for project in projects)  # type: ignore[arg-type]  # projects of the builder


def test_sign_up_subscribes_to_every_public_project(site: Site) -> None:
    """A new customer has one active subscription with an item for each public project."""
    projects = site.shop("One"), site.shop("Two")

    profile = site.subscriber()

    assert subscribed(site) == [("active", product_ids(*projects))]
    items = SubscriptionItem.objects.filter(subscription__customer=customer_of(profile))
    assert [item.current_period_end is not None for item in items] == [True, True]


def test_subscription_is_made_as_stripe_wants_metered_ones(site: Site) -> None:
    """Flexible billing, charged automatically, no quantity, marked as ours."""
    site.shop()
    site.user()

    site.work()

    (sub,), (item,) = site.objects("subscription"), site.objects("subscription_item")
    assert (sub["billing_mode"]["type"], sub["collection_method"], item.get("quantity")) == (
        "flexible",
        "charge_automatically",
        None,
    )
    assert sub["metadata"]["comp_install"] == "comp"


def test_no_public_project_means_no_subscription_yet(site: Site) -> None:
    """Stripe knows no empty subscription; it is made when there is something to subscribe to."""
    site.subscriber()

    assert subscribed(site) == []


def test_first_published_project_subscribes_everybody(site: Site) -> None:
    """Customers from before the first public project are subscribed by the maintenance loop."""
    site.subscriber("ada")
    site.subscriber("bob")
    project = site.shop()

    made = subscriptions.ensure_items()
    site.work()

    assert (made, subscribed(site)) == (2, [("active", product_ids(project))] * 2)


def test_project_published_later_is_added_to_everybody(site: Site) -> None:
    """A later project becomes an item of the subscriptions that exist."""
    first = site.shop("One")
    site.subscriber("ada")
    site.subscriber("bob")
    second = site.shop("Two")

    subscriptions.ensure_items()
    site.work()

    assert subscribed(site) == [("active", product_ids(first, second))] * 2


def test_ensuring_items_again_asks_for_nothing(site: Site) -> None:
    """A round over customers who have everything makes no intent and no call."""
    site.shop()
    site.subscriber()
    before = site.standin.calls.total()

    made = subscriptions.ensure_items()
    site.work()

    assert (made, site.standin.calls.total()) == (0, before)


def test_items_under_way_are_not_asked_for_twice(site: Site) -> None:
    """Each pair of customer and meter is asked for once, however often the loop looks."""
    site.shop("One")
    site.subscriber()
    site.shop("Two")
    subscriptions.ensure_items()

    made = subscriptions.ensure_items()

    assert (made, Intent.objects.filter(kind="subscription_item.create").count()) == (0, 1)


def test_nothing_more_is_asked_for_while_a_subscription_is_being_made(site: Site) -> None:
    """A project published meanwhile waits for the subscription that it is to be an item of."""
    first = site.shop("One")
    site.user()
    intents.carry_out_due(kinds=["customer.create"])
    customer = site.objects("customer")[0]["id"]
    second = site.shop("Two")

    asked = subscriptions.plan(customer)

    site.work()
    subscriptions.ensure_items()
    site.work()
    assert (asked, subscribed(site)) == ([], [("active", product_ids(first, second))])


def test_planning_again_answers_nothing(site: Site) -> None:
    """What has been asked for is not missing any more."""
    site.shop("One")
    customer = customer_of(site.subscriber())
    site.shop("Two")
    subscriptions.plan(customer.pk)

    asked = subscriptions.plan(customer.pk)

    assert asked == []


def test_items_on_their_way_take_up_room(site: Site) -> None:
    """A subscription is not filled beyond its limit by items that are still to be added."""
    site.configure(ITEMS_PER_SUBSCRIPTION=2)
    site.shop("One")
    customer = customer_of(site.subscriber())
    site.shop("Two")
    subscriptions.plan(customer.pk)
    site.shop("Three")

    asked = subscriptions.plan(customer.pk)

    assert [intent.kind for intent in asked] == ["subscription.create"]


def test_more_plans_than_a_subscription_holds(site: Site) -> None:
    """Beyond the limit of items a further subscription is made, and then filled."""
    site.configure(ITEMS_PER_SUBSCRIPTION=2)
    for name in ("One", "Two", "Three"):
        site.shop(name)
    site.subscriber()
    site.shop("Four")

    subscriptions.ensure_items()
    site.work()

    assert [len(products) for _status, products in subscribed(site)] == [2, 2]


def test_subscriptions_of_a_customer_turn_over_together(site: Site) -> None:
    """A further subscription is anchored to the period of the first."""
    site.configure(ITEMS_PER_SUBSCRIPTION=1)
    site.shop("One")
    site.subscriber()
    site.standin.advance(seconds=5 * 86_400)
    site.shop("Two")

    subscriptions.ensure_items()
    site.work()

    assert len({item["current_period_end"] for item in site.objects("subscription_item")}) == 1


@pytest.mark.parametrize("fault", ["refuse", "500_before", "500_saved", "drop_after", "429"])
def test_one_subscription_whatever_went_wrong(site: Site, fault: str) -> None:
    """One failure of any kind still ends in one subscription with one item per plan."""
    projects = site.shop("One"), site.shop("Two")
    site.standin.faults.add(fault, verb="POST", path="/v1/subscriptions")
    site.user()

    site.work()

    assert subscribed(site) == [("active", product_ids(*projects))]


@pytest.mark.parametrize("fault", ["refuse", "500_before", "500_saved", "drop_after", "429"])
def test_one_item_whatever_went_wrong(site: Site, fault: str) -> None:
    """One failure of any kind in adding an item still ends in exactly one more."""
    first = site.shop("One")
    site.subscriber()
    second = site.shop("Two")
    site.standin.faults.add(fault, verb="POST", path="/v1/subscription_items")
    subscriptions.ensure_items()

    site.work()

    assert subscribed(site) == [("active", product_ids(first, second))]


def test_subscription_whose_answer_was_lost_a_day_ago_is_found(site: Site) -> None:
    """After a lost answer and a day's pause the subscription is found by our mark."""
    project = site.shop()
    site.user()
    intents.carry_out_due(kinds=["customer.create"])
    site.standin.faults.add("drop_after", verb="POST", path="/v1/subscriptions")
    intents.carry_out_due()
    site.standin.advance(seconds=25 * 3600)
    later(Intent.objects.get(kind="subscription.create"), hours=25)

    site.work()

    assert (subscribed(site), site.standin.calls["POST /v1/subscriptions"]) == (
        [("active", product_ids(project))],
        1,
    )


def test_plan_that_stripe_refuses_does_not_stop_the_others(site: Site) -> None:
    """When one plan of several is refused, the customer is subscribed to the others."""
    good, bad = site.shop("Good"), site.shop("Bad")
    bad_plan = Plan.objects.get(meter__project=bad)
    stripe_api.call("post", f"/v1/prices/{bad_plan.pk}", {"active": False})

    site.subscriber()

    assert subscribed(site) == [("active", product_ids(good))]


def test_customer_without_a_user_is_left_alone(site: Site) -> None:
    """Customers that somebody else made on the same account are not subscribed."""
    site.shop()
    profile = site.subscriber()
    customer = customer_of(profile)
    SubscriptionItem.objects.update(deleted=True)
    type(customer).objects.update(user=None)

    assert subscriptions.plan(customer.pk) == []


def test_switching_stripe_on_later_needs_no_more_than_the_worker(site: Site) -> None:
    """Projects and users of a site without a key are all at Stripe after some rounds of loops."""
    site.configure(SECRET_KEY="")
    project = site.public_project()
    site.user("ada")
    site.user("bob")
    site.configure(SECRET_KEY="sk_test_new")

    for _round in range(5):
        run_all_once()

    assert subscribed(site) == [("active", product_ids(project))] * 2


@several_writers
def test_two_workers_plan_for_one_customer_at_once(site: Site) -> None:
    """Two planners at the same moment make one intent for each pair."""
    site.shop("One")
    profile = site.subscriber()
    site.shop("Two")

    at_once(lambda: subscriptions.plan(customer_of(profile).pk), times=2)

    assert Intent.objects.filter(kind="subscription_item.create").count() == 1
