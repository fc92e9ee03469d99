"""A project that is not public any more: its items are removed, then it is archived at Stripe.

Nothing goes before the last invoice that has something of it is final: an item when its customer
has used nothing since its period began, and no invoice is a draft; product, prices and meter when
no item is left and all usage is settled. Published again, it is as before, or comes back.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat, Least
from django.utils import timezone

from comp_billing import catalog, closing, intents, repricing, settled, stripe_api
from comp_billing.exceptions import StripeRefused
from comp_billing.intents import Kind
from comp_billing.models import (
    Intent,
    IntentState,
    Invoice,
    Meter,
    Plan,
    Product,
    SubscriptionItem,
    UsageRecord,
    UsageState,
)
from comp_billing.stripe_api import Answer
from comp_billing.subscriptions import live_items
from comp_users.models import Project

BATCH = 200
REMOVE = "subscription_item.remove"
DEACTIVATE = "meter.deactivate"
ARCHIVE = "product.archive"
# The invoice of a period is a draft for about an hour after its end, and news of it takes a while.
INVOICED_AFTER = timedelta(days=1)
# Usage of so long ago is on an invoice that was final long since.
LAST_PERIOD = timedelta(days=40)
# What an operator may still have Stripe count.
UNDECIDED = (UsageState.REJECTED, UsageState.AMBIGUOUS)
NOT_OFFERED = Q(is_public=False) | Q(server_cost__isnull=True)


def retiring() -> QuerySet[Project]:
    """Projects that are not offered and still have something in use at Stripe."""
    meters = Meter.objects.filter(status="active", project__isnull=False)
    products = Product.objects.filter(active=True, project__isnull=False)
    at_stripe = Q(pk__in=meters.values("project")) | Q(pk__in=products.values("project"))
    return Project.objects.filter(NOT_OFFERED, at_stripe)


def retire(*, limit: int = BATCH) -> int:
    """For the maintenance loop: the next steps of every project that is retiring. Answers how many
    intents were made; the rest follow in later rounds."""
    if not stripe_api.is_configured():
        return 0
    _withdraw()
    made = 0
    for project in retiring():
        if made < limit:
            made += _plan(project, limit=limit - made)
    return made


def _withdraw() -> None:
    """What nobody has sent yet, of a project that was published again meanwhile, is not wanted."""
    unsent = Intent.objects.filter(state=IntentState.PENDING, first_sent_at=None)
    offered = Project.objects.exclude(NOT_OFFERED).values_list("pk", flat=True)
    for intent in unsent.filter(kind__in=(REMOVE, DEACTIVATE, ARCHIVE)):
        if intent.params["project"] in offered:
            unsent.filter(pk=intent.pk).delete()


def _plan(project: Project, *, limit: int) -> int:
    """Two queries and the intents, however many items there are."""
    items = _items_of(project)
    if items.exists():
        asked = Intent.objects.filter(subject=Concat(Value(f"{REMOVE}:"), OuterRef("stripe_id")))
        idle = _idle(items, project.pk).filter(~Exists(asked)).order_by("pk")
        keys = list(idle.values_list("pk", flat=True)[:limit])
        for key in keys:
            params = {"item": key, "project": project.pk}
            intents.intend_new(REMOVE, f"{REMOVE}:{key}", params)
        return len(keys)
    return 0 if _has_open_usage(project) else _archive(project)


def _items_of(project: Project) -> QuerySet[SubscriptionItem]:
    """Live items that bill the project's usage; licences, which bill none, stay."""
    return live_items().filter(plan__meter__project=project, plan__usage_type="metered")


def _idle(items: QuerySet[SubscriptionItem], project_id: int) -> QuerySet[SubscriptionItem]:
    """Those of which nothing is still to be invoiced, and nothing is on its way: a removal can lose
    nothing."""
    latest = timezone.now() - INVOICED_AFTER
    since, customer = OuterRef("since"), OuterRef("subscription__customer")
    usage = UsageRecord.objects.filter(
        Q(used_at__gte=since) | Q(timestamp__gte=since) | Q(state__in=settled.UNSETTLED),
        stripe_customer_id=customer,
        meter__project=project_id,
    )
    held = settled.held_runs(
        run__project=project_id, subscription_item__subscription__customer=customer
    )
    drafts = Invoice.objects.filter(subscription=OuterRef("subscription"), status="draft")
    whole = items.filter(subscription__isnull=False, current_period_start__isnull=False)
    dated = whole.annotate(since=Least("current_period_start", Value(latest)))
    return dated.filter(~Exists(usage), ~Exists(held), ~Exists(drafts))


def _has_open_usage(project: Project) -> bool:
    """Whether something may still have to reach the meter, or an invoice from it."""
    usage = UsageRecord.objects.filter(meter__project=project)
    recent = usage.filter(used_at__gte=timezone.now() - LAST_PERIOD)
    drafts = Invoice.objects.filter(
        status="draft", customer__in=recent.values("stripe_customer_id")
    )
    unsettled = usage.filter(state__in=(*settled.UNSETTLED, *UNDECIDED))
    held = settled.held_runs(run__project=project)
    return unsettled.exists() or held.exists() or drafts.exists()


def _archive(project: Project) -> int:
    """Ask for the prices, the product and the meter to be archived; answers for how many."""
    plans = Plan.objects.filter(meter__project=project, active=True, usage_type="metered")
    made = sum(repricing.archive(plan) for plan in plans)
    # A licence by hand is sold on: its product stays.
    licences = Plan.objects.filter(product__project=project, active=True).exclude(
        usage_type="metered"
    )
    wanted: list[tuple[str, str, Product | Meter]] = [
        (ARCHIVE, "product", row)
        for row in Product.objects.filter(project=project, active=True)
        if not licences.exists()
    ]
    wanted += [
        (DEACTIVATE, "meter", row) for row in Meter.objects.filter(project=project, status="active")
    ]
    for kind, name, row in wanted:
        params = {name: row.pk, "project": project.pk}
        catalog.write_down(catalog.change(kind, params, row))
    return made + len(wanted)


def outlook(project: Project) -> str:
    """In words, what becomes of a project that is retiring."""
    items = _items_of(project).count()
    if items:
        plural = "" if items == 1 else "s"
        return (
            f"is not public any more: the worker removes its {items} item{plural}, each when what"
            " was used is invoiced, and then archives it"
        )
    if _has_open_usage(project):
        return "is not public any more: the worker archives it when all its usage is settled"
    return "is not public any more: the worker archives its product, price and meter"


def _is_retiring(intent: Intent) -> Project | None:
    return Project.objects.filter(NOT_OFFERED, pk=intent.params["project"]).first()


def _is_removable(intent: Intent) -> bool:
    project = _is_retiring(intent)
    if project is None:
        return False
    item = live_items().filter(pk=intent.params["item"])
    return not item.exists() or _idle(item, project.pk).exists()


def _is_archivable(intent: Intent) -> bool:
    project = _is_retiring(intent)
    return bool(project and not _items_of(project).exists() and not _has_open_usage(project))


def _remove(intent: Intent) -> Answer:
    path = stripe_api.object_path("subscription_items", intent.params["item"])
    try:
        return stripe_api.call(
            "delete",
            path,
            {"proration_behavior": "none"},
            idempotency_key=intent.idempotency_key,
        )
    except StripeRefused as exc:
        if exc.code == "resource_missing":
            return _gone(intent, exc)
        return _end_with_its_last(intent, exc)


def _gone(intent: Intent, exc: StripeRefused) -> Answer:
    """An item that was removed before is what it is to be."""
    stub: dict[str, Any] = {
        "id": intent.params["item"],
        "object": "subscription_item",
        "deleted": True,
    }
    return Answer(data=stub, date=exc.date, request_id="", replayed=False)


def _end_with_its_last(intent: Intent, refusal: StripeRefused) -> Answer:
    """The last item of a subscription cannot be removed: the subscription is ended instead."""
    path = stripe_api.object_path("subscription_items", intent.params["item"])
    item = stripe_api.retrieve(path)
    if item is None:
        raise refusal
    subscription = str(item.data["subscription"])
    others = stripe_api.find(
        "/v1/subscription_items",
        {"subscription": subscription},
        lambda data: data["id"] != item.data["id"],
    )
    if others is not None:
        raise refusal
    return closing.cancel(subscription, idempotency_key=f"{intent.idempotency_key}-last")


def _archive_product(intent: Intent) -> Answer:
    path = stripe_api.object_path("products", intent.params["product"])
    return intents.post(path, intent, {"active": False})


def _deactivate(intent: Intent) -> Answer:
    return catalog.switch_meter(intent, "deactivate", "inactive")


intents.KINDS |= {
    REMOVE: Kind(send=_remove, ready=_is_removable),
    ARCHIVE: Kind(send=_archive_product, ready=_is_archivable),
    DEACTIVATE: Kind(send=_deactivate, ready=_is_archivable),
}
