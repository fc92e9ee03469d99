"""What runs cost, and the user's spending cap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from comp_billing import stripe_api
from comp_billing.conf import conf
from comp_billing.costs import MonthlyCost, monthly_costs, usage_of
from comp_billing.forms import CapForm
from comp_billing.limits import credit
from comp_billing.limits.spending import current_spending
from comp_billing.money import format_amount
from comp_users.models import Profile
from comp_users.pages import render_page

RECORDS_PER_PAGE = 50


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
@require_http_methods(["GET", "HEAD", "POST"])
def costs(request: HttpRequest) -> HttpResponse:
    """What the user's runs cost, by month and project, and each run with the state of its usage;
    POST sets or removes the user's spending cap."""
    profile = Profile.objects.get(user=request.user.pk)
    form = CapForm(request.POST if request.method == "POST" else None, instance=profile)
    if form.is_valid():
        profile.save(update_fields=["spending_cap", "modified"])
        messages.success(request, _("Your spending cap has been changed."))
        return redirect("comp_billing:costs")
    # By currency too: a site that changed its currency must not add up two.
    grouped = groupby(monthly_costs(profile), key=lambda row: (row.month, row.currency))
    page = Paginator(usage_of(profile), RECORDS_PER_PAGE).get_page(request.GET.get("page"))
    left = credit.minor_left(profile)
    context = {
        "months": [Month(month, list(rows)) for (month, _currency), rows in grouped],
        "page": page,
        "profile": profile,
        "form": form,
        "spending": None if profile.spending_cap is None else current_spending(profile),
        "credit": left,
        "credit_text": format_amount(left, conf.CURRENCY),
        "currency": conf.CURRENCY,
        "bills": stripe_api.is_configured(),
    }
    return render_page(request, "comp_billing/costs.html", context)
