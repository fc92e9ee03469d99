"""What the next invoice would be: by Stripe's word, asked for on request, and by our own rows."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import DecimalField, F, Min, Q, Sum, Value
from django.db.models.functions import Coalesce

from comp_billing import invoice_lines, money, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.customers import customer_of
from comp_billing.exceptions import NoBillingAccount, StripeRefused, StripeUnavailable
from comp_billing.models import (
    LIVE_STATUSES,
    Customer,
    Subscription,
    SubscriptionItem,
    UsageRecord,
    UsageState,
)
from comp_billing.usage.limits import OLDEST_USAGE, OPEN, UNSETTLED
from comp_users.models import Profile

PATH = "/v1/invoices/create_preview"
# A visitor waits for one answer, and for all of them, no longer than this.
ANSWER_SECONDS = 4.0
ALL_SECONDS = 10.0
# Stripe's word for a subscription that has no next invoice, such as one that was cancelled.
NOTHING_COMES = "invoice_upcoming_none"


@dataclass(frozen=True, kw_only=True)
class Part:
    """What the next invoice of one subscription would be now. Amounts are text."""

    subscription_id: str
    due_at: datetime | None
    lines: list[dict[str, str]]
    has_more_lines: bool
    credit_text: str
    total: int
    total_text: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    """All parts, and their sum in words; empty when the currencies differ."""

    parts: list[Part]
    total_text: str


@dataclass(frozen=True, kw_only=True)
class Accrued:
    """What is on no invoice yet by our own rows, in currency units: what Stripe has taken of it,
    what is on its way there, and what the operators have to look at."""

    reported: Decimal
    waiting: Decimal
    in_doubt: Decimal
    currency: str

    @property
    def total(self) -> Decimal:
        return self.reported + self.waiting


def preview_of(user: Any) -> Preview:
    """What Stripe would invoice the user for now, a call for each subscription.

    One of the few things that a page may ask (outside any transaction). Raises NoBillingAccount
    while the user has no customer, StripeUnavailable when it takes too long, or a StripeError.
    """
    customer = customer_of(user)
    if customer is None:
        raise NoBillingAccount
    parts = [_part(subscription, data) for subscription, data in _answers(customer)]
    currencies = {currency for currency, _ in parts}
    total = sum(part.total for _, part in parts)
    text = money.format_amount(total, currencies.pop()) if len(currencies) == 1 else ""
    return Preview(parts=[part for _, part in parts], total_text=text)


def _answers(customer: Customer) -> Iterator[tuple[Subscription, dict[str, Any]]]:
    """What Stripe says of each live subscription, in the order in which they were made."""
    live = Subscription.objects.filter(customer=customer, status__in=LIVE_STATUSES).annotate(
        due_at=Min("items__current_period_end", filter=Q(items__deleted=False))
    )
    deadline = time.monotonic() + ALL_SECONDS
    for subscription in live.order_by("data__created", "pk"):
        if time.monotonic() > deadline:
            raise StripeUnavailable("Stripe takes too long to answer.")
        try:
            with stripe_api.answered_within(ANSWER_SECONDS):
                params = {"subscription": subscription.pk}
                answer = stripe_api.call("post", PATH, params, retries=0, in_request=True)
        except StripeRefused as exc:
            if exc.code != NOTHING_COMES:
                raise
        else:
            yield subscription, answer.data


def _part(subscription: Subscription, invoice: dict[str, Any]) -> tuple[str, Part]:
    """The part with its currency."""
    currency = shapes.text(invoice.get("currency"))
    total = shapes.integer(invoice.get("total")) or 0
    credit = invoice_lines.credit_used(invoice)
    return currency, Part(
        subscription_id=subscription.pk,
        due_at=getattr(subscription, "due_at", None),
        lines=invoice_lines.in_words(shapes.listed(invoice.get("lines")), currency),
        has_more_lines=bool(shapes.mapping(invoice.get("lines")).get("has_more")),
        credit_text=money.format_amount(-credit, currency) if credit else "",
        total=total,
        total_text=money.format_amount(total, currency),
    )


def accrued(profile: Profile) -> Accrued:
    """What the profile's runs have cost that no invoice has billed. Two queries."""
    items = SubscriptionItem.objects.filter(
        subscription__customer__user=profile.user_id, subscription__status__in=LIVE_STATUSES
    )
    start = items.aggregate(start=Min("current_period_start"))["start"]
    records = UsageRecord.objects.filter(run__payer=profile, run__currency=conf.CURRENCY)
    if start is not None:
        # Usage can be told to Stripe so long after it happened.
        records = records.filter(used_at__gte=start - OLDEST_USAGE)
    # What an ended subscription billed is on its last invoice.
    counted = Q(
        state=UsageState.ACCEPTED,
        timestamp__gte=F("subscription_item__current_period_start"),
        subscription_item__subscription__status__in=LIVE_STATUSES,
    )
    sums = records.aggregate(
        reported=_costs(counted),
        waiting=_costs(Q(state__in=UNSETTLED)),
        in_doubt=_costs(Q(state__in=OPEN)),
    )
    return Accrued(**sums, currency=conf.CURRENCY)


def _costs(which: Q) -> Coalesce:
    none = Value(Decimal(0), output_field=DecimalField())
    return Coalesce(Sum("run__run_cost", filter=which), none)
