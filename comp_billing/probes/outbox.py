"""What this site has to tell Stripe: intents, usage, and items that are still missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from comp_billing.catalog import plans_on_offer
from comp_billing.intents import KINDS
from comp_billing.models import (
    LIVE_STATUSES,
    Intent,
    IntentState,
    Plan,
    Subscription,
    SubscriptionItem,
    UsageRecord,
    UsageState,
)
from comp_billing.probes.words import LOOPS, about_billing, counted
from comp_billing.subscriptions import live_items, wanted_by
from comp_billing.usage.limits import NEARLY_LOST, UNSETTLED
from comp_core.doctor import Finding, ok, problem, warning

# A round takes seconds; what has been due for longer finds nobody to do it.
OVERDUE = timedelta(minutes=10)
LONG = timedelta(hours=1)
INTENTS = "Look at their messages in the admin, under Intents."
USAGE = "Look at their errors in the admin, under Usage records; compare with Stripe's totals."


@about_billing
def intents() -> Iterator[Finding]:
    """Calls that wait in vain, and calls that Stripe refused."""
    waiting = Intent.objects.filter(state=IntentState.PENDING)
    overdue = waiting.filter(next_attempt_at__lt=timezone.now() - OVERDUE)
    late = counted(overdue, "kind", "created")
    stuck = counted(_old(waiting).exclude(pk__in=overdue), "kind", "created")
    refused = counted(Intent.objects.filter(state=IntentState.FAILED), "kind", "created")
    if late:
        yield problem(f"Calls to Stripe that nobody makes, although they are due: {late}.", LOOPS)
    if stuck:
        yield warning(f"Calls to Stripe that have not succeeded for an hour: {stuck}.", INTENTS)
    if refused:
        yield warning(f"Calls that Stripe refused: {refused}.", INTENTS)
    if not (late or stuck or refused):
        yield ok("Every call that this site had to make to Stripe is made, or about to be.")


def _old(waiting: models.QuerySet[Intent]) -> models.QuerySet[Intent]:
    """Some kinds rightly wait, say for a customer's usage to be counted, before they are tried."""
    patient = [name for name, kind in KINDS.items() if kind.may_wait]
    old = waiting.filter(created__lt=timezone.now() - LONG)
    return old.exclude(attempts=0, kind__in=patient)


@about_billing
def usage() -> Iterator[Finding]:
    """Usage on its way, and usage that will not be billed unless somebody acts."""
    now = timezone.now()
    waiting = UsageRecord.objects.filter(state__in=UNSETTLED)
    overdue = Q(next_attempt_at__lt=now - OVERDUE) | Q(next_attempt_at=None)
    late = counted(waiting.filter(overdue, used_at__lt=now - OVERDUE), "state", "used_at")
    nearly = counted(waiting.filter(used_at__lt=now - NEARLY_LOST), "state", "used_at")
    unsent = counted(waiting, "state", "used_at")
    if late:
        yield problem(f"Usage that nobody reports to Stripe, although it is due: {late}.", LOOPS)
    if nearly:
        what = f"Usage that Stripe will soon not take any more (after 35 days): {nearly}."
        yield problem(what, "See to it that it can be reported: look at its errors in the admin.")
    unbilled = [_unbilled(state) for state in (UsageState.REJECTED, UsageState.AMBIGUOUS)]
    unbilled.append(_unbilled(UsageState.EXPIRED))
    yield from filter(None, unbilled)
    if not late and not nearly:
        yield ok(f"Usage that is still to be reported: {unsent}." if unsent else _REPORTED)


_REPORTED = "All usage has been reported to Stripe."
_WORDS = {
    UsageState.REJECTED: "Usage that Stripe rejected, and that is not billed",
    UsageState.AMBIGUOUS: "Usage of which it is unclear whether Stripe took it",
    UsageState.EXPIRED: "Usage that was too old to be reported, and that is not billed",
}


def _unbilled(state: UsageState) -> Finding | None:
    found = counted(UsageRecord.objects.filter(state=state), "error_code", "used_at")
    return warning(f"{_WORDS[state]}: {found}.", USAGE) if found else None


@about_billing
def subscriptions() -> Iterator[Finding]:
    """Whoever may run something is subscribed to it, within an hour of signing up."""
    since = timezone.now() - LONG
    empty = _empty(since).count()
    lacking = {plan.pk: _lacking(plan, since) for plan in plans_on_offer()}
    customers = sum(lacking.values())
    todo = "Look at the intents; python manage.py comp_setup_stripe mends the catalogue."
    if empty:
        yield warning(f"Subscriptions without a single item: {empty}. They bill nothing.", todo)
    if customers:
        plans = sum(1 for number in lacking.values() if number)
        what = f"Customers who lack an item for something on offer: {customers}, in {plans} plans."
        yield warning(f"{what} Their runs are refused.", todo)
    if not empty and not customers:
        yield ok("Every customer is subscribed to everything on offer.")


def _empty(since: datetime) -> models.QuerySet[Subscription]:
    items = SubscriptionItem.objects.filter(subscription=OuterRef("pk"))
    live = Subscription.objects.filter(status__in=LIVE_STATUSES, as_of__lt=since.timestamp())
    return live.filter(~Exists(items))


def _lacking(plan: Plan, since: datetime) -> int:
    items = live_items().filter(plan__meter=plan.meter_id, subscription__customer=OuterRef("pk"))
    return wanted_by(plan).filter(~Exists(items), as_of__lt=since.timestamp()).count()
