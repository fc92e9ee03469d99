"""What the admin pages of comp_billing share: rows to look at, not to edit."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from comp_billing.models import StripeObject
from comp_billing.money import format_amount
from comp_core.admin import ReadOnlyAdmin

DASHBOARD = "https://dashboard.stripe.com"


def related(name: str, description: Any) -> Any:
    """A column that shows a related row and leads to it."""

    @display(description=description, ordering=name)
    def column(obj: Any) -> str:
        other = getattr(obj, name)
        if other is None:
            return "-"
        meta = other._meta
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[other.pk])
        return format_html('<a href="{}">{}</a>', url, other)

    return column


class PresenceFilter(admin.SimpleListFilter):
    """Objects that exist, unless asked for the others."""

    title = _("presence")
    parameter_name = "presence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("deleted", _("Deleted or removed")),
            ("awaited", _("Named, not received yet")),
            ("all", _("All")),
        ]

    def choices(self, changelist: Any) -> Any:
        choices = list(super().choices(changelist))
        choices[0]["display"] = _("Existing")
        return choices

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        if self.value() == "all":
            return queryset
        if self.value() == "awaited":
            return queryset.filter(as_of=None)
        return queryset.filter(as_of__isnull=False, deleted=self.value() == "deleted")


class StripeObjectAdmin(ReadOnlyAdmin):
    """One kind of proxy. ``dashboard``: the path of its page at Stripe, if it has one."""

    dashboard = ""
    search_fields = ["stripe_id"]
    ordering = ["-as_of", "-stripe_id"]
    list_filter: ClassVar[Any] = [PresenceFilter]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        # Links lead to tombstones and placeholders too; the list leaves them to the filter.
        queryset: models.QuerySet[Any] = self.model.all_objects.order_by(*self.ordering)
        return queryset

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = [field.name for field in self.model._meta.fields if field.name != "data"]
        return [*fields, "at_stripe", "received"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)

    @display(description=_("as received"))
    def received(self, obj: StripeObject) -> str:
        return pretty(obj.data)

    @display(description=_("at Stripe"))
    def at_stripe(self, obj: StripeObject) -> str:
        if not self.dashboard:
            return "-"
        url = f"{DASHBOARD}/{'' if obj.livemode else 'test/'}{self.dashboard}/{obj.pk}"
        return format_html('<a href="{}" rel="noreferrer">{}</a>', url, _("Open the dashboard"))


def pretty(data: Any) -> str:
    return format_html("<pre>{}</pre>", json.dumps(data, indent=2, sort_keys=True))


def amount(name: str, description: Any) -> Any:
    """A column that shows an amount of minor units as people write it."""

    @display(description=description, ordering=name)
    def column(obj: Any) -> str:
        return format_amount(getattr(obj, name), obj.currency) or "-"

    return column
