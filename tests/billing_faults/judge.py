"""The judge: what Stripe has, held against what happened here. It shares no rule with the library.

``lost``: something that must be there is not; ``double``: it is there twice; ``wrong``: it is not
what it must be; ``stuck``: there is still something to do. What is visibly unclear is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from comp_billing.models import Intent, IntentState, UsageRecord, UsageState
from comp_billing.usage import corrections
from comp_users.models import Profile, Project
from tests.billing_faults.world import World
from tests.faults.ledger import DOUBLE, LOST, STUCK, WRONG, Finding

ENDED = ("canceled", "incomplete_expired")
# Visible to the operators, and on no invoice.
UNSENT = (UsageState.REJECTED, UsageState.EXPIRED, UsageState.CANCELLED)


def judge(world: World) -> list[Finding]:
    """Everything that is not as it must be."""
    money = [*_usage(world), *_strangers(world), *_credits(world)]
    return [*_customers(world), *_items(world), *money, *_stuck()]


def ambiguous() -> int:
    """How many usage records are left unclear, for the operators to see."""
    return UsageRecord.objects.filter(state=UsageState.AMBIGUOUS).count()


def _live(world: World, kind: str) -> list[dict[str, Any]]:
    return [obj for obj in world.standin.store.where(kind) if not obj.get("deleted")]


def _customer_ids(world: World) -> dict[str, list[str]]:
    """Stripe's customers by the user that they say they are of."""
    found: dict[str, list[str]] = {}
    for customer in _live(world, "customer"):
        found.setdefault(customer["metadata"].get("comp_user", ""), []).append(customer["id"])
    return found


def _customers(world: World) -> Iterator[Finding]:
    found = _customer_ids(world)
    users = {str(profile.user_id) for profile in world.signed_up}
    for user in users:
        number = len(found.get(user, []))
        if number == 0:
            yield LOST, "a user without a customer"
        elif number > 1:
            yield DOUBLE, f"a user with {number} customers"
    for user in set(found) - users:
        yield WRONG, f"a customer of {user or 'nobody'}, who has not signed up"


def _items(world: World) -> Iterator[Finding]:
    """One live item for each customer and public project's meter."""
    meters = {meter["id"] for meter in _live(world, "billing.meter")}
    if len(meters) != Project.objects.filter(is_public=True).count():
        yield WRONG, f"{len(meters)} meters for as many public projects"
    live = {
        subscription["id"]: subscription["customer"]
        for subscription in _live(world, "subscription")
        if subscription["status"] not in ENDED
    }
    counted: Counter[tuple[str, str]] = Counter()
    for item in _live(world, "subscription_item"):
        if customer := live.get(item["subscription"]):
            counted[customer, item["price"]["recurring"]["meter"]] += 1
    for customers in _customer_ids(world).values():
        for pair in ((customer, meter) for customer in customers for meter in meters):
            if counted[pair] == 0:
                yield LOST, f"{pair} without an item"
            elif counted[pair] > 1:
                yield DOUBLE, f"{pair} with {counted[pair]} items"


def _events(world: World) -> list[dict[str, Any]]:
    """What Stripe bills."""
    sql = "SELECT * FROM usage WHERE state = 'accepted' ORDER BY seq"
    return [dict(row) for row in world.standin.store.rows(sql)]


def _usage(world: World) -> Iterator[Finding]:
    """Each run that succeeded is billed once, with its own cost, or visibly is not."""
    counted = Counter(int(event["value"]) for event in _events(world))
    records = {record.run_id: record for record in UsageRecord.objects.all()}
    for done in world.done:
        record = records.get(done.run.pk)
        if record is None:
            yield LOST, "a run that succeeded without a usage record"
            continue
        if record.quantity != done.units:
            yield WRONG, f"{record.quantity} units recorded, not {done.units}"
        yield from _sent(record, done.units, counted[done.units])
    for run in world.failed:
        if run.pk in records:
            yield WRONG, "a usage record of a run that failed"


def _sent(record: UsageRecord, units: int, times: int) -> Iterator[Finding]:
    if times > 1:
        yield DOUBLE, f"{units} units were counted {times} times"
    elif record.state == UsageState.ACCEPTED and not times:
        yield LOST, f"{units} units are said to be accepted, and Stripe has them not"
    elif record.state in UNSENT and times:
        yield WRONG, f"{units} units are {record.state}, and Stripe counts them"
    elif record.state in (UsageState.PENDING, UsageState.SENDING):
        yield STUCK, f"{units} units are {record.state} for ever"


def _strangers(world: World) -> Iterator[Finding]:
    """Nothing is billed that was not used, nor to somebody else."""
    owner = {str(profile.user_id): profile.pk for profile in Profile.objects.all()}
    of_customer = {
        customer: owner.get(user)
        for user, customers in _customer_ids(world).items()
        for customer in customers
    }
    used = {(done.units, done.run.payer_id) for done in world.done}
    for event in _events(world):
        if (int(event["value"]), of_customer.get(event["customer"])) not in used:
            yield WRONG, f"{event['value']} units are billed, which nobody used"


def _stuck() -> Iterator[Finding]:
    for intent in Intent.objects.exclude(state=IntentState.SUCCEEDED):
        # Usage that is too old to be taken back stays, and may be credited.
        if intent.state == IntentState.PENDING or intent.kind != corrections.CANCEL:
            yield STUCK, f"{intent.kind} is {intent.state}: {intent.error_message}"


def _credits(world: World) -> Iterator[Finding]:
    """What was credited stands on its customer's balance, once."""
    wanted: Counter[str] = Counter()
    for intent in Intent.objects.filter(kind=corrections.CREDIT):
        wanted[intent.params["customer"]] += intent.params["amount"]
    found: Counter[str] = Counter()
    for entry in _live(world, "customer_balance_transaction"):
        found[entry["customer"]] += entry["amount"]
    for customer in {*wanted, *found}:
        if wanted[customer] != found[customer]:
            yield WRONG, f"{found[customer]} credited, not {wanted[customer]}"
