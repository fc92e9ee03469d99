"""How far Stripe's lists have been read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from comp_billing.admin import verbs
from comp_billing.admin.base import reconcile
from comp_billing.admin.columns import second
from comp_billing.models import Sync
from comp_core.admin import ReadOnlyAdmin
from comp_core.admin.base import moment

COMPLETE = second("complete_as_of", gettext_lazy("whole as of"))


@admin.register(Sync)
class SyncAdmin(ReadOnlyAdmin):
    """One row for each kind whose list was read, or is to be."""

    list_display = [
        "kind",
        "state",
        moment("requested_at", gettext_lazy("asked for")),
        moment("started_at", gettext_lazy("begun")),
        moment("finished_at", gettext_lazy("ended")),
        "listed",
        "written",
        COMPLETE,
    ]
    fields = [
        *("kind", "state", "requested_at", "started_at", "finished_at", "listed", "written"),
        *("cursor", COMPLETE, "error"),
    ]
    readonly_fields = ["state", COMPLETE]
    actions = ["read_again"]

    @display(description=gettext_lazy("state"))
    def state(self, sync: Sync) -> str:
        if sync.lease_expires_at is not None and sync.lease_expires_at > timezone.now():
            return _("Being read")
        if sync.requested_at is not None:
            return _("Waits for the worker")
        if sync.error:
            return _("Ended in an error")
        return _("Interrupted") if sync.started_at and not sync.finished_at else _("Read")

    def has_read_permission(self, request: HttpRequest) -> bool:
        return verbs.may_change(self, request)

    @admin.action(
        description=gettext_lazy("Read the selected lists from Stripe"), permissions=["read"]
    )
    def read_again(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Enqueues only: the worker makes the calls."""
        chosen = list(rows.values_list("pk", flat=True))
        left = sorted(set(chosen) - set(reconcile(self, request, chosen)))
        text = _("Not read: %s. Events are fetched with comp_process_events --from-stripe.")
        if left:
            self.message_user(request, text % ", ".join(left), messages.WARNING)
