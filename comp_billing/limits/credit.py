"""What a payer has before using anything: credit grants, and what is left of them.

Grants are mirrored like every other object. What is left of them Stripe tells in a summary of its
own, which the worker asks for whenever news says that it may have changed.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from comp_billing import clock, money, shapes, stripe_api
from comp_billing.conf import conf
from comp_billing.exceptions import StripeRefused, StripeUnavailable
from comp_billing.handlers import on
from comp_billing.models import CreditBalance, CreditGrant, Event, Invoice, StripeObject
from comp_users.models import Profile

logger = logging.getLogger(__name__)

SUMMARY = "/v1/billing/credit_balance_summary"
# What pays for every model; a grant for certain prices pays for those only.
FOR_ALL = {"type": "applicability_scope", "applicability_scope": {"price_type": "metered"}}
# How far back the loop looks for grants that have begun or ended by themselves.
TURNED_WITHIN = timedelta(days=3)
BATCH = 100
TRIES = 3


@dataclass(frozen=True, kw_only=True)
class GrantRow:
    """One grant for a page. ``amount_text`` is what was granted, not what is left."""

    name: str
    is_promotional: bool
    amount_text: str
    effective_at: datetime | None
    expires_at: datetime | None
    is_for_all: bool
    is_over: bool


def available(payer: Profile) -> Decimal:
    """What is left of the payer's credit by Stripe's last word, in units of the site's currency.

    Stripe takes it only when an invoice is finalised: what is on drafts is taken off here already,
    and usage that is on no invoice yet has still to be paid from it. What pays for certain models
    only is left out. One query.
    """
    drafts = Invoice.objects.filter(customer=OuterRef("customer"), status="draft").order_by()
    drafted = drafts.values("customer").annotate(sum=Sum("total")).values("sum")
    found = _balances(payer).annotate(drafted=Coalesce(Subquery(drafted), 0)).first()
    left = max(found.available - found.drafted, 0) if found else 0
    return money.from_minor(left, conf.CURRENCY)


def minor_left(payer: Profile) -> int | None:
    """What Stripe says is left, in minor units; None while it has not told. One query."""
    return _balances(payer).values_list("available", flat=True).first()


def _balances(payer: Profile) -> QuerySet[Any]:
    return CreditBalance.objects.filter(
        customer__user=payer.user_id, customer__deleted=False, currency=conf.CURRENCY
    )


def grants_of(user: Any) -> list[GrantRow]:
    """The user's grants, the latest first; those that were voided were never given. One query."""
    grants = CreditGrant.objects.filter(customer__user=user, voided_at=None)
    return [_row(grant) for grant in grants.order_by("-effective_at", "-stripe_id")]


def _row(grant: CreditGrant) -> GrantRow:
    scope = shapes.mapping(shapes.mapping(grant.data.get("applicability_config")).get("scope"))
    return GrantRow(
        name=grant.name,
        is_promotional=grant.category == "promotional",
        amount_text=money.format_amount(grant.amount, grant.currency),
        effective_at=grant.effective_at,
        expires_at=grant.expires_at,
        is_for_all=not scope.get("prices"),
        is_over=grant.expires_at is not None and grant.expires_at <= timezone.now(),
    )


def refresh(customer_id: str) -> None:
    """Ask Stripe what is left and keep it, unless what is here is newer. For workers: a call, and
    another one a second later where two answers of one second differ. Raises a StripeError.
    """
    for _try in range(TRIES):
        try:
            answer = stripe_api.call("get", SUMMARY, {"customer": customer_id, "filter": FOR_ALL})
        except StripeRefused as exc:
            # A deleted customer's credit went with it.
            if exc.code == "resource_missing":
                return
            raise
        if _keep(customer_id, _left(answer.data), as_of=answer.as_of):
            return
        time.sleep(1)
    raise StripeUnavailable("Stripe's answers about a customer's credit differ within a second.")


def _left(summary: dict[str, Any]) -> int:
    """In minor units of the site's currency; credit in another one pays for nothing here."""
    balances = [shapes.mapping(one) for one in summary.get("balances") or []]
    amounts = [shapes.mapping(one.get("available_balance")) for one in balances]
    found = [shapes.mapping(one.get("monetary")) for one in amounts]
    own = [one for one in found if shapes.text(one.get("currency")) == conf.CURRENCY]
    return max(0, sum(shapes.integer(one.get("value")) or 0 for one in own))


def _keep(customer_id: str, left: int, *, as_of: int) -> bool:
    """False when another answer of the same second said otherwise: which of the two is the later
    one only a later answer can tell."""
    blank = CreditBalance(customer_id=customer_id, available=0, currency="", as_of=-1)
    with transaction.atomic():
        CreditBalance.objects.bulk_create([blank], ignore_conflicts=True)
        kept = CreditBalance.objects.select_for_update().get(pk=customer_id)
        if kept.as_of > as_of:
            return True
        CreditBalance.objects.filter(pk=customer_id).update(
            available=left, currency=conf.CURRENCY, as_of=as_of
        )
    return kept.as_of < as_of or kept.available == left


@on(
    "billing.credit_grant.created",
    "billing.credit_grant.updated",
    "billing.credit_balance_transaction.created",
    stored=True,
)
def refresh_balance(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """Credit was given, used or taken away: what is left is asked for, unless it was since."""
    customer_id = event.customer_id or _customer_of(
        shapes.ref(event.object_data.get("credit_grant"))
    )
    if customer_id is not None and not _is_known_since(customer_id, event):
        refresh(customer_id)


@on("invoice.finalized", "invoice.paid", "invoice.voided", stored=True, model=Invoice)
def refresh_balance_of_invoice(event: Event, obj: Invoice | None, previous: dict[str, Any]) -> None:
    """An invoice may have used credit, or given it back; of customers who have any."""
    customer_id = event.customer_id
    if customer_id is None or not CreditGrant.objects.filter(customer=customer_id).exists():
        return
    if not _is_known_since(customer_id, event):
        refresh(customer_id)


def refresh_due(*, limit: int = BATCH) -> int:
    """For the maintenance loop: customers of whose credit nothing was told (grants that a bulk
    sync found), and those of whom a grant has begun or ended since. Answers how many."""
    if not (stripe_api.is_configured() and CreditGrant.objects.exists()):
        return 0
    due = sorted({*_untold(limit), *_turned()})[:limit]
    return sum(map(_try_refresh, due))


def _try_refresh(customer_id: str) -> bool:
    """One customer that Stripe says no about must not hold up the others."""
    try:
        refresh(customer_id)
    except StripeRefused as exc:
        logger.error("Stripe does not tell the credit of %s: %s", customer_id, exc.code)
        return False
    return True


def _untold(limit: int) -> set[str]:
    grants = CreditGrant.objects.filter(
        customer__deleted=False, customer__credit_balance__isnull=True
    )
    return set(grants.values_list("customer", flat=True).distinct()[:limit])


def _turned() -> set[str]:
    now = clock.now()
    lately = (now - TURNED_WITHIN, now)
    grants = CreditGrant.objects.filter(
        Q(effective_at__range=lately) | Q(expires_at__range=lately), customer__deleted=False
    ).values_list("customer", "customer__credit_balance__as_of", "effective_at", "expires_at")
    return {
        customer_id
        for customer_id, as_of, *turns in grants
        if any(
            as_of is not None and as_of < at.timestamp() <= now.timestamp() for at in turns if at
        )
    }


def _customer_of(grant_id: str | None) -> str | None:
    """A transaction names its grant only. Of a grant that is not here yet, news will come."""
    grants = CreditGrant.all_objects.filter(pk=grant_id)
    return grants.values_list("customer", flat=True).first()


def _is_known_since(customer_id: str, event: Event) -> bool:
    """Whether what is left was told in a later second than the event."""
    since = int(event.created.timestamp())
    return CreditBalance.objects.filter(customer=customer_id, as_of__gt=since).exists()
