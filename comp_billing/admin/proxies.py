"""The kinds of Stripe objects that the library mirrors."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from comp_billing import customers
from comp_billing.admin import verbs
from comp_billing.admin.base import StripeObjectAdmin, at_stripe
from comp_billing.admin.columns import amount, related
from comp_billing.admin.filters import PresenceFilter, among
from comp_billing.models import (
    Charge,
    CreditGrant,
    Customer,
    Invoice,
    InvoicePayment,
    Meter,
    Plan,
    Product,
    StripeObject,
    Subscription,
    SubscriptionItem,
)
from comp_core.admin.base import moment

USERNAME = get_user_model().USERNAME_FIELD
STATUS = gettext_lazy("status")
GRANTED = amount("amount", gettext_lazy("granted"))
CUSTOMER = related("customer", gettext_lazy("customer"))
TOTAL, PAID = amount("total", gettext_lazy("total")), amount("amount_paid", gettext_lazy("paid"))
DUE, CHARGED = amount("amount_due", gettext_lazy("due")), amount("amount", gettext_lazy("amount"))
SUBSCRIPTION_STATES = (
    *("active", "trialing", "past_due", "unpaid", "paused", "incomplete"),
    *("incomplete_expired", "canceled"),
)


@admin.register(Product)
class ProductAdmin(StripeObjectAdmin):
    dashboard = "products"
    list_display = ["stripe_id", "name", related("project", gettext_lazy("project")), "active"]
    list_filter = [PresenceFilter, "active"]
    list_select_related = ["project"]
    search_fields = ["stripe_id", "name", "project__name", "project__slug"]


@admin.register(Meter)
class MeterAdmin(StripeObjectAdmin):
    dashboard = "meters"
    list_display = [
        "stripe_id",
        "event_name",
        related("project", gettext_lazy("project")),
        "status",
    ]
    list_filter = [PresenceFilter, among("status", STATUS, "active", "inactive")]
    list_select_related = ["project"]
    search_fields = ["stripe_id", "event_name", "project__name", "project__slug"]
    exact = ("pk", "event_name")


@admin.register(Plan)
class PlanAdmin(StripeObjectAdmin):
    dashboard = "prices"
    list_display = [
        "stripe_id",
        related("product", gettext_lazy("product")),
        related("meter", gettext_lazy("meter")),
        "usage_type",
        "amount_decimal",
        "currency",
        "interval",
        "active",
    ]
    list_filter = [
        PresenceFilter,
        "active",
        among("usage_type", gettext_lazy("usage type"), "metered", "licensed"),
        among("interval", gettext_lazy("interval"), "day", "week", "month", "year"),
    ]
    search_fields = ["stripe_id", "product__name"]
    exact = ("pk", "product", "meter")


@admin.register(Customer)
class CustomerAdmin(StripeObjectAdmin):
    dashboard = "customers"
    list_display = [
        "stripe_id",
        "email",
        related("user", gettext_lazy("user")),
        "has_payment_method",
    ]
    list_select_related = ["user"]
    search_fields = ["stripe_id", "email", f"user__{USERNAME}"]
    actions = ["fetch_again", "reopen"]

    @display(description=gettext_lazy("card"), boolean=True)
    def has_payment_method(self, obj: Customer) -> bool:
        return bool(obj.default_payment_method)

    def has_reopen_permission(self, request: HttpRequest) -> bool:
        return verbs.may_change(self, request)

    @admin.action(
        description=gettext_lazy("Open the billing account again"), permissions=["reopen"]
    )
    def reopen(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """For users whose customer was deleted at Stripe. Enqueues only."""
        found = verbs.chosen(self, request, rows, instead="")
        if found is None:
            return None
        count = customers.reopen(Customer.all_objects.filter(pk__in=[row.pk for row in found]))
        if count:
            verbs.record(request, found, _("Asked for the billing account to be opened again."))
        text = ngettext(
            "The worker will make %d new customer.", "The worker will make %d new customers.", count
        )
        self.message_user(request, text % count, messages.SUCCESS)
        return None


@admin.register(CreditGrant)
class CreditGrantAdmin(StripeObjectAdmin):
    readable = {"amount": GRANTED}
    list_display = [
        "stripe_id",
        CUSTOMER,
        "name",
        "category",
        GRANTED,
        moment("expires_at", gettext_lazy("expires")),
        moment("voided_at", gettext_lazy("voided")),
    ]
    list_filter = [
        PresenceFilter,
        among("category", gettext_lazy("category"), "paid", "promotional"),
    ]
    search_fields = ["stripe_id", "name", "customer__email"]
    exact = ("pk", "customer")

    def dashboard_url(self, obj: StripeObject) -> str:
        """It is shown on its customer's page."""
        key = getattr(obj, "customer_id", None)
        return at_stripe("customers", key, livemode=obj.livemode) if key else ""


@admin.register(Subscription)
class SubscriptionAdmin(StripeObjectAdmin):
    dashboard = "subscriptions"
    list_display = ["stripe_id", CUSTOMER, "status"]
    list_filter = [PresenceFilter, among("status", STATUS, *SUBSCRIPTION_STATES)]
    search_fields = ["stripe_id", "customer__email"]
    exact = ("pk", "customer")


@admin.register(SubscriptionItem)
class SubscriptionItemAdmin(StripeObjectAdmin):
    list_display = [
        "stripe_id",
        related("subscription", gettext_lazy("subscription")),
        related("plan", gettext_lazy("plan")),
        moment("current_period_end", gettext_lazy("period ends")),
    ]
    search_fields = ["stripe_id"]
    exact = ("pk", "subscription", "plan")

    def dashboard_url(self, obj: StripeObject) -> str:
        """It is shown on its subscription's page."""
        key = getattr(obj, "subscription_id", None)
        return at_stripe("subscriptions", key, livemode=obj.livemode) if key else ""


@admin.register(Invoice)
class InvoiceAdmin(StripeObjectAdmin):
    dashboard = "invoices"
    readable = {"total": TOTAL, "amount_due": DUE, "amount_paid": PAID}
    list_display = [
        "stripe_id",
        "number",
        CUSTOMER,
        "status",
        TOTAL,
        PAID,
        related("charge", gettext_lazy("charge")),
        moment("created", gettext_lazy("created")),
    ]
    list_filter = [
        PresenceFilter,
        among("status", STATUS, "draft", "open", "paid", "uncollectible", "void"),
        "created",
    ]
    search_fields = ["stripe_id", "number", "customer__email"]
    exact = ("pk", "customer", "subscription", "charge")


@admin.register(InvoicePayment)
class InvoicePaymentAdmin(StripeObjectAdmin):
    list_display = [
        "stripe_id",
        related("invoice", gettext_lazy("invoice")),
        related("charge", gettext_lazy("charge")),
        "payment_intent",
        "status",
        "is_default",
    ]
    list_filter = [PresenceFilter, among("status", STATUS, "open", "paid", "canceled")]
    search_fields = ["stripe_id", "payment_intent"]
    exact = ("pk", "invoice", "charge", "payment_intent")

    def dashboard_url(self, obj: StripeObject) -> str:
        """Its payment's page."""
        key = getattr(obj, "payment_intent", "") or getattr(obj, "charge_id", None)
        return at_stripe("payments", key, livemode=obj.livemode) if key else ""


@admin.register(Charge)
class ChargeAdmin(StripeObjectAdmin):
    dashboard = "payments"
    readable = {"amount": CHARGED}
    list_display = [
        "stripe_id",
        CUSTOMER,
        CHARGED,
        "status",
        moment("created", gettext_lazy("created")),
    ]
    list_filter = [PresenceFilter, among("status", STATUS, "succeeded", "pending", "failed")]
    search_fields = ["stripe_id", "customer__email", "payment_intent"]
    exact = ("pk", "customer", "payment_intent")
