"""Events, usage, reservations and intents in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.contrib.auth import get_user_model
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from comp_billing.admin.base import pretty, related
from comp_billing.events import process_again
from comp_billing.models import Event, Intent, Reservation, UsageRecord
from comp_core.admin import ReadOnlyAdmin

USERNAME = get_user_model().USERNAME_FIELD


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """What Stripe has told, how far it is worked through, and what went wrong."""

    list_display = [
        "stripe_id",
        "type",
        "created",
        "state",
        "attempts",
        "error",
        related("customer", _("customer")),
        related("invoice", _("invoice")),
    ]
    list_filter = ["state", "is_thin", "created", "type"]
    list_select_related = ["customer", "invoice"]
    search_fields = ["stripe_id", "type", "customer__stripe_id", "invoice__stripe_id"]
    actions = ["make_due"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        fields = [field.name for field in Event._meta.fields if field.name != "payload"]
        return [*fields, "received"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return self.get_fields(request, obj)

    @display(description=_("as received"))
    def received(self, obj: Event) -> str:
        return pretty(obj.payload)

    def has_process_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("comp_billing.change_event")

    @admin.action(description=_("Process again"), permissions=["process"])
    def make_due(self, request: HttpRequest, queryset: models.QuerySet[Event]) -> None:
        """Enqueues only: the worker does the work."""
        count = process_again(queryset)
        text = ngettext(
            "%d event will be processed by the worker.",
            "%d events will be processed by the worker.",
            count,
        )
        self.message_user(request, text % count, messages.SUCCESS)


@admin.register(UsageRecord)
class UsageRecordAdmin(ReadOnlyAdmin):
    """The outbox of usage: what was sent, and what waits or was refused."""

    list_display = [
        "identifier",
        "run_id",
        related("meter", _("meter")),
        "stripe_customer_id",
        "quantity",
        "used_at",
        "state",
        "attempts",
        "error_code",
    ]
    list_filter = ["state", "used_at"]
    list_select_related = ["meter"]
    search_fields = ["identifier", "run__id", "stripe_customer_id", "event_name"]


@admin.register(Reservation)
class ReservationAdmin(ReadOnlyAdmin):
    """Money held back for runs under way."""

    list_display = ["run_id", "payer", "amount", "settled_amount", "created"]
    list_select_related = ["payer__user"]
    search_fields = ["run__id", "payer__display_name", f"payer__user__{USERNAME}"]


@admin.register(Intent)
class IntentAdmin(ReadOnlyAdmin):
    """Our calls to Stripe: made, due, or refused."""

    list_display = [
        "subject",
        "kind",
        "state",
        "attempts",
        "next_attempt_at",
        "result_id",
        "error_message",
    ]
    list_filter = ["state", "kind"]
    search_fields = ["subject", "result_id", "idempotency_base"]
