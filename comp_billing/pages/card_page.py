"""How a user pays: the card, and the customer portal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from comp_billing import stripe_api
from comp_billing.customers import customer_of
from comp_billing.exceptions import BillingError
from comp_billing.paying.cards import has_payment_method, start_card_setup
from comp_billing.paying.portal import configuration_id, open_portal
from comp_users.pages import render_page


# Stripe's pages are opened by a call, and none is made while a transaction is open.
@transaction.non_atomic_requests
@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def card(request: HttpRequest) -> HttpResponseBase:
    """Whether there is a card; POST goes on to Stripe's page on which one is entered."""
    if request.method != "POST":
        return _page(request)
    here = _here(request)
    return _forward(
        request,
        lambda: start_card_setup(request.user, success_url=f"{here}?added=1", cancel_url=here),
    )


@transaction.non_atomic_requests
@login_required
@never_cache
@require_POST
def portal(request: HttpRequest) -> HttpResponseBase:
    """On to Stripe's page for cards, invoices and addresses."""
    return _forward(request, lambda: open_portal(request.user, return_url=_here(request)))


def _here(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("comp_billing:card"))


def _forward(request: HttpRequest, opened: Callable[[], str]) -> HttpResponseBase:
    try:
        return HttpResponseRedirect(opened())
    except BillingError as error:
        return _page(request, problem=str(error))


def _page(request: HttpRequest, *, problem: str = "") -> HttpResponse:
    customer = customer_of(request.user)
    context: dict[str, Any] = {
        "customer": customer,
        "has_card": bool(customer and has_payment_method(customer)),
        "has_portal": bool(customer and configuration_id()),
        "added": "added" in request.GET,
        "problem": problem,
        "bills": stripe_api.is_configured(),
    }
    return render_page(request, "comp_billing/card.html", context)
