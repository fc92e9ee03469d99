"""Usage and intents in the admin."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from comp_billing.admin import corrections, verbs
from comp_billing.admin.books import BooksPages
from comp_billing.admin.columns import link, related
from comp_billing.admin.filters import KindFilter
from comp_billing.admin.large import LargeTableAdmin
from comp_billing.models import Intent, UsageRecord
from comp_core.admin.base import moment
from comp_core.models import Run

USERNAME = get_user_model().USERNAME_FIELD


@admin.register(UsageRecord)
class UsageRecordAdmin(BooksPages):
    """The outbox of usage: what was sent, and what waits or was refused."""

    list_display = [
        "short_id",
        "state",
        "quantity",
        moment("used_at", _("used at")),
        "attempts",
        "error_code",
        "of_run",
        "stripe_customer_id",
        related("meter", _("meter")),
        related("subscription_item", _("item")),
    ]
    list_filter = ["state", "used_at"]
    ordering = ["-created"]
    sortable_by: ClassVar[tuple[str, ...]] = ()
    search_fields = ["stripe_customer_id__startswith"]
    search_help_text = _("The id of a customer, a meter, an item, a run or a record")
    exact = ("stripe_customer_id", "meter", "subscription_item")
    actions = [corrections.as_action(name) for name in corrections.VERBS]

    def has_correct_permission(self, request: HttpRequest) -> bool:
        return verbs.may_change(self, request)

    @display(description=_("record"))
    def short_id(self, record: UsageRecord) -> str:
        return str(record.pk)[:8]

    @display(description=_("run"))
    def of_run(self, record: UsageRecord) -> str:
        return link(Run, record.run_id, str(record.run_id)[:8])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Records and runs have ids of ours, which are looked up whole."""
        try:
            key = uuid.UUID(search_term.strip())
        except ValueError:
            return super().get_search_results(request, queryset, search_term)
        return queryset.filter(Q(pk=key) | Q(run=key)), False


@admin.register(Intent)
class IntentAdmin(LargeTableAdmin):
    """Our calls to Stripe: made, due, or refused."""

    list_display = [
        "subject",
        "kind",
        "state",
        "attempts",
        moment("next_attempt_at", _("next at")),
        "result_id",
        "error_message",
    ]
    list_filter = ["state", KindFilter]
    ordering = ["-pk"]
    sortable_by: ClassVar[tuple[str, ...]] = ()
    search_fields = ["subject", "result_id"]
    exact = ("subject", "result_id")
