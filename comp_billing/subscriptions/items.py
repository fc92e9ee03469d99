"""What customers are subscribed to, are about to be, and should be."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT

from comp_billing.conf import conf
from comp_billing.models import (
    LIVE_STATUSES,
    Customer,
    FirstRun,
    Intent,
    IntentState,
    Plan,
    Subscription,
    SubscriptionItem,
)

CREATE = "subscription.create"
ADD = "subscription_item.create"


def live_items() -> QuerySet[SubscriptionItem]:
    """Items whose usage will be billed."""
    items: QuerySet[SubscriptionItem] = SubscriptionItem.objects.filter(
        subscription__status__in=LIVE_STATUSES, subscription__deleted=False
    )
    return items


def standing_additions() -> QuerySet[Intent]:
    """Items asked for that are on their way, or were refused by a subscription that is still live.

    What has been added and is gone, or was to join a subscription that has ended, is missing.
    """
    live = Subscription.objects.filter(status__in=LIVE_STATUSES).values("pk")
    refused = Q(state=IntentState.FAILED, joins__in=live)
    additions = Intent.objects.filter(kind=ADD).annotate(joins=KT("params__subscription"))
    return additions.filter(Q(state=IntentState.PENDING) | refused)


def open_customers() -> QuerySet[Customer]:
    """Customers that are subscribed to anything new: those of users whose account is there."""
    customers: QuerySet[Customer] = Customer.objects.filter(user__isnull=False)
    return customers.exclude(user__profile__closed_at__isnull=False)


def wanted_by(offered: Plan) -> QuerySet[Customer]:
    """Customers who should have an item on the plan's meter, by the site's rule."""
    if is_at_sign_up() or offered.meter is None:
        return open_customers()
    wishes = FirstRun.objects.filter(
        profile__user=OuterRef("user"), project=offered.meter.project_id
    )
    return open_customers().filter(Exists(wishes))


def wanted_projects(customer: Customer) -> set[int] | None:
    """The projects that a customer is to be subscribed to; None: all."""
    if is_at_sign_up():
        return None
    wishes = FirstRun.objects.filter(profile__user=customer.user_id)
    return set(wishes.values_list("project_id", flat=True))


def is_at_sign_up() -> bool:
    return conf.SUBSCRIBE_ON != "first_run"
