"""Pages on a user's money: costs, invoices, card. They read our own rows; only the button that
opens Stripe's card page makes a call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Min
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from comp_billing import stripe_api
from comp_billing.cards import start_card_setup
from comp_billing.costs import InvoiceRow, MonthlyCost, invoices_of, monthly_costs, usage_of
from comp_billing.customers import customer_of
from comp_billing.exceptions import BillingError
from comp_billing.models import SubscriptionItem
from comp_users.models import Profile
from comp_users.pages import render_page

RECORDS_PER_PAGE = 50
# Stripe's words for the states of an invoice, and ours.
INVOICE_WORDS = {
    "draft": _("Being prepared"),
    "open": _("Waiting for payment"),
    "paid": _("Paid"),
    "uncollectible": _("Given up"),
    "void": _("Cancelled"),
}
# Below Stripe's least charge an amount waits on the customer's balance; a credit lies there too.
PAID_FROM_BALANCE = _("Settled on your balance at Stripe; your card was not charged")


@dataclass(frozen=True)
class Month:
    """One month of costs: its projects, and their sum in currency units."""

    month: datetime
    rows: list[MonthlyCost]

    @property
    def cost(self) -> Decimal:
        return sum((row.cost for row in self.rows), Decimal(0))

    @property
    def currency(self) -> str:
        return self.rows[0].currency


@login_required
@require_safe
def costs(request: HttpRequest) -> HttpResponse:
    """What the user's runs cost, by month and project, and each run with the state of its usage."""
    profile = Profile.objects.get(user=request.user.pk)
    # By currency too: a site that changed its currency must not add up two.
    grouped = groupby(monthly_costs(profile), key=lambda row: (row.month, row.currency))
    page = Paginator(usage_of(profile), RECORDS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "months": [Month(month, list(rows)) for (month, _currency), rows in grouped],
        "page": page,
        "profile": profile,
        "bills": stripe_api.is_configured(),
    }
    return render_page(request, "comp_billing/costs.html", context)


@login_required
@require_safe
def invoices(request: HttpRequest) -> HttpResponse:
    """The user's invoices, with Stripe's pages for paying and printing them."""
    context = {
        "invoices": [_with_words(row) for row in invoices_of(request.user)],
        "first_invoice_at": _period_end(request.user),
        "bills": stripe_api.is_configured(),
    }
    return render_page(request, "comp_billing/invoices.html", context)


# The card page is opened by a call to Stripe, and none is made while a transaction is open.
@transaction.non_atomic_requests
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def card(request: HttpRequest) -> HttpResponseBase:
    """Whether there is a card; POST goes on to Stripe's page on which one is entered."""
    problem = ""
    if request.method == "POST":
        here = request.build_absolute_uri(reverse("comp_billing:card"))
        try:
            url = start_card_setup(request.user, success_url=f"{here}?added=1", cancel_url=here)
            return HttpResponseRedirect(url)
        except BillingError as error:
            problem = str(error)
    customer = customer_of(request.user)
    context = {
        "customer": customer,
        "has_card": bool(customer and customer.default_payment_method),
        "added": "added" in request.GET,
        "problem": problem,
        "bills": stripe_api.is_configured(),
    }
    return render_page(request, "comp_billing/card.html", context)


def _with_words(row: InvoiceRow) -> dict[str, Any]:
    words = INVOICE_WORDS.get(row.status, row.status)
    if row.status == "paid" and row.total > 0 and not row.amount_paid:
        words = PAID_FROM_BALANCE
    return {"row": row, "words": words}


def _period_end(user: Any) -> datetime | None:
    items = SubscriptionItem.objects.filter(subscription__customer__user=user)
    end: datetime | None = items.aggregate(end=Min("current_period_end"))["end"]
    return end
