"""What a user is told on every page while a payment is due: runs may be refused until then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from comp_billing import shapes, stripe_api
from comp_billing.models import Customer, Invoice, Subscription
from comp_users.notices import Notice

# States of a subscription in which an invoice of its own is unpaid.
BEHIND = ("past_due", "unpaid", "incomplete")


def payment_due(request: HttpRequest) -> Iterator[Notice]:
    """A source of notices: that a payment failed or is overdue, with the link to pay. One query;
    none on a site without Stripe."""
    if not stripe_api.is_configured():
        return
    owing = _owing(request.user)
    if owing is None:
        return
    is_behind, pay_url = owing
    text = _(
        "A payment is due. New runs are refused until it is made; your results stay as they are."
    )
    if not is_behind:
        text = _("An invoice has not been paid. New runs may be refused until it is.")
    pay_page = shapes.link(pay_url)
    link_text = _("Pay now") if pay_page else _("See your invoices")
    yield Notice(text=text, url=pay_page or _invoices_page(), link_text=link_text)


def _owing(user: Any) -> tuple[bool, str | None] | None:
    """Whether a subscription is behind, and the oldest unpaid invoice's page; None when the user
    owes nothing."""
    subscriptions = Subscription.objects.filter(customer=OuterRef("pk"), status__in=BEHIND)
    overdue = _overdue().filter(customer=OuterRef("pk"))
    unpaid = Invoice.objects.filter(customer=OuterRef("pk"), status="open", amount_due__gt=0)
    owing = Customer.objects.annotate(
        is_behind=Exists(subscriptions),
        pay_url=Subquery(
            unpaid.annotate(url=KT("data__hosted_invoice_url"))
            .order_by("created")
            .values("url")[:1]
        ),
    ).filter(Q(is_behind=True) | Exists(overdue), user=user)
    found: tuple[bool, str | None] | None = owing.values_list("is_behind", "pay_url").first()
    return found


def _overdue() -> Any:
    """Open invoices whose payment was tried in vain, or whose day has passed."""
    now = int(timezone.now().timestamp())
    # A database may sort JSON's null before or after numbers.
    was_tried = Q(data__attempt_count__gte=1) & ~Q(data__attempt_count=None)
    is_late = was_tried | Q(data__due_date__lt=now) & ~Q(data__due_date=None)
    return Invoice.objects.filter(is_late, status="open", amount_due__gt=0)


def _invoices_page() -> str:
    """Empty where the site has not mounted it."""
    try:
        return reverse("comp_billing:invoices")
    except NoReverseMatch:
        return ""
