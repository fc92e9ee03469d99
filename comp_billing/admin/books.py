"""The books in the admin: customers of a month, and each one's rows as ``comp_reconcile`` has them.

From our own rows only: no page asks Stripe for its totals, which is the command's to do.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from comp_billing import books
from comp_billing.admin.large import BoundedPaginator, LargeTableAdmin
from comp_billing.models import Customer, UsageRecord, UsageState
from comp_billing.usage.limits import OPEN, UNSETTLED

CUSTOMERS_PER_PAGE = 50


class BooksPages(LargeTableAdmin):
    """Adds the pages of the books to the admin of usage records, whose permission they ask for."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("books/", view(self.customers_view), name="comp_billing_books"),
            path("books/<str:key>/", view(self.books_view), name="comp_billing_books_of"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        context = {"books_url": reverse("admin:comp_billing_books"), **(extra_context or {})}
        return super().changelist_view(request, context)

    def customers_view(self, request: HttpRequest) -> HttpResponse:
        """Every customer, with the usage of a month. Three queries."""
        span, text = self._month(request)
        wanted = request.GET.get("q", "").replace("\0", "").strip()
        customers = Customer.all_objects.select_related("user").defer("data").order_by("pk")
        if wanted:
            customers = customers.filter(Q(pk=wanted) | Q(email__istartswith=wanted))
        page = BoundedPaginator(customers, CUSTOMERS_PER_PAGE).get_page(request.GET.get("page"))
        sums = _sums([customer.pk for customer in page], span)
        context = {
            "title": _("Books"),
            "page": page,
            "rows": [(customer, sums.get(customer.pk)) for customer in page],
            "wanted": wanted,
            "month": text,
        }
        return self._shown(request, "books.html", context)

    def books_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """One customer's rows of the periods that touch a month."""
        span, text = self._month(request)
        customer = Customer.all_objects.defer("data").filter(pk=key.replace("\0", "")).first()
        if customer is None:
            raise Http404
        rows = books.Reconciler(span=span).books_of(customer.pk, customer.user_id)
        context = {
            "title": _("Books of %s") % customer.pk,
            "customer": customer,
            # The customer is the page's.
            "heads": books.HEADS[1:],
            "rows": [(books.cells(row)[1:], row) for row in rows],
            "month": text,
        }
        return self._shown(request, "books_of.html", context)

    def _month(self, request: HttpRequest) -> tuple[books.Span, str]:
        """The month asked for, this one unless said, in the time zone in force."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        text = request.GET.get("month") or f"{timezone.localtime():%Y-%m}"
        try:
            return books.Span.of_month(text), text
        except ValueError as exc:
            raise Http404(_("No month: %s") % text) from exc

    def _shown(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "opts": self.opts}
        return render(request, f"comp_billing/admin/{name}", {**shared, **context})


def _sums(customers: list[str], span: books.Span) -> dict[str, dict[str, Any]]:
    """What each of these customers used within the span, by time of use. One query."""
    used: QuerySet[UsageRecord] = UsageRecord.objects.filter(
        span.within("used_at"), stripe_customer_id__in=customers
    )
    found = (
        used.order_by()
        .values("stripe_customer_id")
        .annotate(
            records=Count("pk"),
            to_send=Count("pk", filter=Q(state__in=UNSETTLED)),
            to_decide=Count("pk", filter=Q(state__in=OPEN)),
            # As the user's own page has it: without what was taken back or waived.
            cost=Sum(
                "run__run_cost",
                filter=~Q(state__in=(UsageState.CANCELLED, UsageState.WAIVED)),
            ),
            currency=Max("run__currency"),
        )
    )
    return {
        row["stripe_customer_id"]: {
            **row,
            "cost": books.exact_amount(row["cost"] or Decimal(0), row["currency"]),
        }
        for row in found
    }
