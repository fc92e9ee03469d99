"""The proxies in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from comp_billing import customers
from comp_billing.admin.base import PresenceFilter, StripeObjectAdmin, amount, related
from comp_billing.models import (
    Charge,
    Customer,
    Invoice,
    InvoicePayment,
    Meter,
    Plan,
    Product,
    Subscription,
    SubscriptionItem,
)

USERNAME = get_user_model().USERNAME_FIELD


@admin.register(Product)
class ProductAdmin(StripeObjectAdmin):
    dashboard = "products"
    list_display = ["stripe_id", "name", related("project", _("project")), "active"]
    list_filter = [PresenceFilter, "active"]
    list_select_related = ["project"]
    search_fields = ["stripe_id", "name", "project__name", "project__slug"]


@admin.register(Meter)
class MeterAdmin(StripeObjectAdmin):
    list_display = ["stripe_id", "event_name", related("project", _("project")), "status"]
    list_filter = [PresenceFilter, "status"]
    list_select_related = ["project"]
    search_fields = ["stripe_id", "event_name", "project__name", "project__slug"]


@admin.register(Plan)
class PlanAdmin(StripeObjectAdmin):
    dashboard = "prices"
    list_display = [
        "stripe_id",
        related("product", _("product")),
        related("meter", _("meter")),
        "usage_type",
        "amount_decimal",
        "currency",
        "interval",
        "active",
    ]
    list_filter = [PresenceFilter, "usage_type", "active", "interval"]
    list_select_related = ["product", "meter"]
    search_fields = ["stripe_id", "product__name", "product__stripe_id"]


@admin.register(Customer)
class CustomerAdmin(StripeObjectAdmin):
    dashboard = "customers"
    list_display = ["stripe_id", "email", "user", "default_payment_method"]
    list_select_related = ["user"]
    search_fields = ["stripe_id", "email", f"user__{USERNAME}"]
    actions = ["reopen"]

    def has_reopen_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("comp_billing.change_customer")

    @admin.action(description=_("Open the billing account again"), permissions=["reopen"])
    def reopen(self, request: HttpRequest, queryset: models.QuerySet[Customer]) -> None:
        """For users whose customer was deleted at Stripe. Enqueues only."""
        count = customers.reopen(queryset)
        text = ngettext(
            "The worker will make %d new customer.", "The worker will make %d new customers.", count
        )
        self.message_user(request, text % count, messages.SUCCESS)


COLUMNS = ("stripe_id", "plan", "current_period_start", "current_period_end", "deleted")


class ItemInline(admin.TabularInline[Any, Any]):
    """The plans of a subscription, removed ones included."""

    model = SubscriptionItem
    fields = COLUMNS
    readonly_fields = COLUMNS
    extra = 0
    can_delete = False
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return SubscriptionItem.all_objects.select_related("plan").order_by("stripe_id")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Subscription)
class SubscriptionAdmin(StripeObjectAdmin):
    dashboard = "subscriptions"
    list_display = ["stripe_id", related("customer", _("customer")), "status"]
    list_filter = [PresenceFilter, "status"]
    list_select_related = ["customer"]
    search_fields = ["stripe_id", "customer__stripe_id", "customer__email"]
    inlines = [ItemInline]


@admin.register(SubscriptionItem)
class SubscriptionItemAdmin(StripeObjectAdmin):
    list_display = [
        "stripe_id",
        related("subscription", _("subscription")),
        related("plan", _("plan")),
        "current_period_end",
    ]
    list_select_related = ["subscription", "plan"]
    search_fields = ["stripe_id", "subscription__stripe_id", "plan__stripe_id"]


@admin.register(Invoice)
class InvoiceAdmin(StripeObjectAdmin):
    dashboard = "invoices"
    list_display = [
        "stripe_id",
        "number",
        related("customer", _("customer")),
        "status",
        amount("total", _("total")),
        amount("amount_paid", _("paid")),
        related("charge", _("charge")),
        "created",
    ]
    list_filter = [PresenceFilter, "status", "created"]
    list_select_related = ["customer", "charge"]
    search_fields = ["stripe_id", "number", "customer__stripe_id", "customer__email"]


@admin.register(InvoicePayment)
class InvoicePaymentAdmin(StripeObjectAdmin):
    list_display = [
        "stripe_id",
        related("invoice", _("invoice")),
        "payment_intent",
        "status",
        "is_default",
    ]
    list_filter = [PresenceFilter, "status"]
    list_select_related = ["invoice"]
    search_fields = ["stripe_id", "invoice__stripe_id", "payment_intent"]


@admin.register(Charge)
class ChargeAdmin(StripeObjectAdmin):
    dashboard = "payments"
    list_display = [
        "stripe_id",
        related("customer", _("customer")),
        amount("amount", _("amount")),
        "status",
    ]
    list_filter = [PresenceFilter, "status"]
    list_select_related = ["customer"]
    search_fields = ["stripe_id", "customer__stripe_id", "customer__email", "payment_intent"]
