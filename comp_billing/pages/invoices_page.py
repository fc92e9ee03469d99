"""A user's invoices, the next one, and the credit that they are paid from first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.db.models import Min
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from comp_billing import stripe_api
from comp_billing.conf import conf
from comp_billing.costs import InvoiceRow, invoices_of
from comp_billing.exceptions import BillingError
from comp_billing.limits import credit
from comp_billing.models import SubscriptionItem
from comp_billing.money import format_amount
from comp_billing.paying.previews import Preview, accrued, preview_of
from comp_users.models import Profile
from comp_users.pages import render_page

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


@login_required
@require_safe
def invoices(request: HttpRequest) -> HttpResponse:
    """The user's invoices, with Stripe's pages for paying and printing them, what is on none yet,
    and the user's credit. Makes no call."""
    profile = Profile.objects.get(user=request.user.pk)
    context = {
        "invoices": [_with_words(row) for row in invoices_of(request.user)],
        "first_invoice_at": _period_end(request.user),
        **_own_figures(profile),
    }
    return render_page(request, "comp_billing/invoices.html", context)


# Stripe is asked, and it is not while a transaction is open.
@transaction.non_atomic_requests
@login_required
@never_cache
@require_safe
def upcoming(request: HttpRequest) -> HttpResponseBase:
    """What the next invoice would be by Stripe's word, and by our own rows."""
    profile = Profile.objects.get(user=request.user.pk)
    preview, problem = _asked(request.user)
    context = {"preview": preview, "problem": problem, **_own_figures(profile)}
    return render_page(request, "comp_billing/upcoming.html", context)


def _asked(user: Any) -> tuple[Preview | None, str]:
    """Stripe's answer, or why there is none. A reload asks for nothing that would be changed."""
    if not stripe_api.is_configured():
        return None, ""
    try:
        return preview_of(user), ""
    except BillingError as error:
        return None, str(error)


def _own_figures(profile: Profile) -> dict[str, Any]:
    left = credit.minor_left(profile)
    return {
        "accrued": accrued(profile),
        "credit": left,
        "credit_text": format_amount(left, conf.CURRENCY),
        "grants": credit.grants_of(profile.user_id),
        "bills": stripe_api.is_configured(),
    }


def _with_words(row: InvoiceRow) -> dict[str, Any]:
    words = INVOICE_WORDS.get(row.status, row.status)
    if row.status == "paid" and row.total > 0 and not row.amount_paid:
        words = PAID_FROM_BALANCE
    return {"row": row, "words": words}


def _period_end(user: Any) -> datetime | None:
    items = SubscriptionItem.objects.filter(subscription__customer__user=user)
    end: datetime | None = items.aggregate(end=Min("current_period_end"))["end"]
    return end
