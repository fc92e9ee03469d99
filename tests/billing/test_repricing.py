"""A changed rate under per-second pricing: another plan on the same meter, and everybody moves."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db.models import Sum

from comp_billing import intents, mirror, repricing, stripe_api, subscriptions, usage
from comp_billing.models import Intent, Meter, UsageRecord
from comp_billing.sync import pacing
from comp_users.models import Profile, Project
from tests.billing.builders import Site, authorized_run, ended, later, standin_now, used
from tests.billing.test_intents_pace import Clock

MOVES = "POST /v1/subscription_items/{id}"


@pytest.fixture
def seconds(site: Site) -> Site:
    """A site that prices by the second."""
    site.configure(PRICING="comp_billing.pricing.PerSecondPricing")
    return site


@pytest.fixture
def project(seconds: Site) -> Project:
    """At a cent a second."""
    return seconds.shop()


def reprice(site: Site, project: Project, rate: str) -> None:
    """Another rate, and its plan at Stripe; nothing has moved yet."""
    project.server_cost = Decimal(rate)
    project.save()
    site.work()


def move(site: Site) -> int:
    """A round of the loop and of the worker; answers how many were asked to move."""
    made = repricing.move_items()
    site.work()
    return made


def prices(site: Site) -> list[tuple[str, bool]]:
    """At Stripe: the price of a second, and whether it is in use."""
    return [(price["unit_amount_decimal"], price["active"]) for price in site.objects("price")]


def on(site: Site) -> list[str]:
    """At Stripe: the prices that items are on."""
    return [item["price"]["unit_amount_decimal"] for item in site.objects("subscription_item")]


def test_another_rate_is_another_plan_on_the_same_meter(seconds: Site, project: Project) -> None:
    """Named by its rate; items are where they were, and runs are still accepted."""
    payer: Profile = seconds.subscriber()

    reprice(seconds, project, "72")
    authorized_run(project, payer)

    assert (prices(seconds), Meter.objects.count(), on(seconds)) == (
        [("1", True), ("2", True)],
        1,
        ["1"],
    )


def test_items_move_over(seconds: Site, project: Project) -> None:
    """To the plan on offer, without an invoice; new customers have it from the start."""
    seconds.subscriber("ada")
    reprice(seconds, project, "72")
    seconds.subscriber("bob")

    made = move(seconds)

    assert (made, on(seconds), seconds.objects("invoice")) == (1, ["2", "2"], [])


def test_who_has_moved_is_left_alone(seconds: Site, project: Project) -> None:
    """Another round asks for nothing."""
    seconds.subscriber()
    reprice(seconds, project, "72")
    move(seconds)

    assert (move(seconds), repricing.move_items()) == (0, 0)


def test_a_rate_that_comes_back_moves_them_back(seconds: Site, project: Project) -> None:
    """As often as it changes."""
    seconds.subscriber()
    for rate in ("72", "36", "72"):
        reprice(seconds, project, rate)
        move(seconds)

    assert on(seconds) == ["2"]


def test_nobody_moves_before_usage_is_settled(seconds: Site, project: Project) -> None:
    """What was used at the old rate is billed at the old price."""
    payer: Profile = seconds.subscriber()
    used(project, payer, seconds="10")
    reprice(seconds, project, "72")
    waiting = move(seconds)
    usage.report_due()

    made = move(seconds)

    assert (waiting, made, on(seconds)) == (0, 1, ["2"])


def test_nobody_moves_while_a_run_of_the_old_rate_is_under_way(
    seconds: Site, project: Project
) -> None:
    """It keeps its price."""
    payer: Profile = seconds.subscriber()
    run = authorized_run(project, payer)
    reprice(seconds, project, "72")
    waiting = move(seconds)
    ended(run, seconds="10")
    usage.report_due()

    made = move(seconds)

    record = UsageRecord.objects.get()
    assert (waiting, made, record.quantity, record.run.run_cost) == (0, 1, 10, Decimal("0.1"))


def test_usage_that_comes_between_makes_the_move_wait(seconds: Site, project: Project) -> None:
    """An intent that is there is not sent while something is on its way."""
    payer: Profile = seconds.subscriber()
    reprice(seconds, project, "72")
    repricing.move_items()
    used(project, payer)

    seconds.work()
    waiting = on(seconds)
    usage.report_due()
    seconds.work()

    assert (waiting, on(seconds)) == (["1"], ["2"])


def test_a_run_of_the_new_rate_on_the_old_plan_costs_its_receipt(
    seconds: Site, project: Project
) -> None:
    """Three seconds at two cents are six of the old plan's units, of a cent each."""
    payer: Profile = seconds.subscriber()
    reprice(seconds, project, "72")
    project.refresh_from_db()

    record = used(project, payer, seconds="2.5")

    assert (record.run.run_cost, record.quantity) == (Decimal("0.06"), 6)


def test_each_period_is_billed_at_the_rates_that_were_in_force(
    seconds: Site, project: Project
) -> None:
    """The sum of the receipts is the invoice's total."""
    payer: Profile = seconds.subscriber()
    used(project, payer, seconds="10")
    usage.report_due()
    seconds.standin.advance(seconds=60)
    reprice(seconds, project, "72")
    move(seconds)
    seconds.standin.advance(seconds=60)
    seconds.configure(CLOCK="tests.billing.builders.standin_now")
    project.refresh_from_db()
    record = used(project, payer, seconds="10")
    UsageRecord.objects.filter(pk=record.pk).update(used_at=standin_now())
    usage.report_due()
    seconds.standin.advance(months=1)

    (invoice,) = seconds.objects("invoice")
    receipts = UsageRecord.objects.aggregate(cost=Sum("run__run_cost"))["cost"]
    assert (invoice["total"], receipts) == (30, Decimal("0.3"))


def test_the_former_price_is_archived_when_nobody_is_on_it(seconds: Site, project: Project) -> None:
    """And not before."""
    seconds.subscriber()
    reprice(seconds, project, "72")
    before = repricing.archive_former()
    move(seconds)

    made = repricing.archive_former()
    seconds.work()

    assert (before, made, prices(seconds)) == (0, 1, [("1", False), ("2", True)])


def test_a_price_that_an_item_is_being_made_on_stays(seconds: Site, project: Project) -> None:
    """Stripe would refuse the item."""
    seconds.user()
    intents.carry_out_due(kinds=["customer.create"])
    project.server_cost = Decimal(72)
    project.save()
    intents.carry_out_due(kinds=["price.create"])

    made = repricing.archive_former()

    assert made == 0


def test_a_price_that_was_made_by_hand_stays(seconds: Site, project: Project) -> None:
    """It is somebody else's."""
    meter = Meter.objects.get()
    recurring = {"interval": "month", "usage_type": "metered", "meter": meter.pk}
    by_hand = {"product": project.product.pk, "currency": "usd", "unit_amount_decimal": "5"}
    answer = stripe_api.call("post", "/v1/prices", {**by_hand, "recurring": recurring})
    version = stripe_api.API_VERSION
    mirror.upsert([answer.data], as_of=answer.as_of, rank=mirror.Rank.LIST, api_version=version)

    assert repricing.archive_former() == 0


@pytest.mark.parametrize("fault", ["500_before", "500_saved", "drop_after", "429"])
def test_one_move_whatever_went_wrong(seconds: Site, project: Project, fault: str) -> None:
    """One failure of any kind still ends with the item on the new plan."""
    seconds.subscriber()
    reprice(seconds, project, "72")
    seconds.standin.faults.add(fault, verb="POST", path="/v1/subscription_items/*")

    move(seconds)

    assert on(seconds) == ["2"]


def test_a_move_whose_answer_was_lost_a_day_ago_is_found(seconds: Site, project: Project) -> None:
    """By looking at the item."""
    seconds.subscriber()
    reprice(seconds, project, "72")
    seconds.standin.faults.add("drop_after", verb="POST", path="/v1/subscription_items/*")
    repricing.move_items()
    intents.carry_out_due()
    later(Intent.objects.get(kind=repricing.MOVE), hours=25)

    seconds.work()

    assert (on(seconds), seconds.standin.calls[MOVES]) == (["2"], 1)


def test_moves_keep_to_the_pace(
    seconds: Site, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the intents: five moves at one a second, of which one is saved up, take four seconds."""
    for name in "abcde":
        seconds.subscriber(name)
    reprice(seconds, project, "72")
    repricing.move_items()
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    monkeypatch.setattr(intents, "pace", pacing.TokenBucket())
    seconds.configure(CALLS_PER_SECOND=1)

    intents.carry_out_due()

    assert (clock.now - 1000, on(seconds)) == (4, ["2"] * 5)


def test_constant_prices_move_nobody(site: Site) -> None:
    """A changed rate needs nothing at Stripe."""
    project = site.shop()
    site.subscriber()
    reprice(site, project, "72")

    assert (repricing.move_items(), repricing.archive_former(), len(prices(site))) == (0, 0, 1)


def test_new_customers_are_asked_for_one_item_only(seconds: Site, project: Project) -> None:
    """Of two plans on a meter the one on offer; and who is on the old one lacks nothing."""
    seconds.subscriber("ada")
    reprice(seconds, project, "72")

    assert subscriptions.ensure_items() == 0
