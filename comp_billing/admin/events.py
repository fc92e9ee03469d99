"""Events in the admin: what Stripe has told, how far it is worked through, what went wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from comp_billing.admin import verbs
from comp_billing.admin.base import at_stripe
from comp_billing.admin.columns import link, pretty, related
from comp_billing.admin.filters import StateFilter, TypeFilter
from comp_billing.admin.large import LargeTableAdmin
from comp_billing.events import idle, process_again
from comp_billing.models import Event, EventState
from comp_billing.webhooks import object_of
from comp_core.admin.base import moment

LARGE = ("payload", "handled")
CREATED = moment("created", gettext_lazy("created"))


@admin.register(Event)
class EventAdmin(LargeTableAdmin):
    """Every event that has arrived."""

    list_display = [
        "type",
        "progress",
        CREATED,
        "attempts",
        "error",
        related("customer", gettext_lazy("customer")),
        related("invoice", gettext_lazy("invoice")),
        "stripe_id",
    ]
    ordering = ["-created", "-pk"]
    list_filter = [StateFilter, TypeFilter, "is_thin", "created"]
    search_fields = ["stripe_id__exact", "type__startswith"]
    search_help_text = gettext_lazy(
        "An id (of an event, customer or invoice), or how a type begins: invoice.payment"
    )
    exact = ("pk", "customer", "invoice")
    sortable_by = [CREATED]
    unlisted = LARGE
    actions = ["make_due"]
    change_form_template = "comp_billing/admin/stripe_object.html"

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        said = ["stripe_id", "at_stripe", "type", "created", "about", "customer", "invoice"]
        done = ["progress", "error", "attempts", "next_attempt_at", "applied_at", "processed_at"]
        source = ["received_at", "api_version", "account", "livemode", "is_thin", "request_id"]
        return [
            (None, {"fields": said}),
            (gettext_lazy("What became of it"), {"fields": [*done, "handled"]}),
            (gettext_lazy("Where it came from"), {"fields": [*source, "idempotency_key"]}),
            (gettext_lazy("As received"), {"fields": ["received"], "classes": ["collapse"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [
            name for _title, options in self.get_fieldsets(request) for name in options["fields"]
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return rows if self.is_listing(request) else rows.select_related("customer", "invoice")

    @display(description=gettext_lazy("state"))
    def progress(self, obj: Event) -> str:
        """In words; in red what a person should look at."""
        words = EventState(obj.state).label
        trouble = obj.state in (EventState.DEAD, EventState.FAILED)
        return (
            format_html('<strong class="comp-note">{}</strong>', words) if trouble else str(words)
        )

    @display(description=gettext_lazy("about"))
    def about(self, obj: Event) -> str:
        """The row of the object that the event is about."""
        found = object_of(obj)
        return link(type(found), found.pk, f"{found.kind} {found.pk}") if found else "-"

    @display(description=gettext_lazy("received"))
    def received(self, obj: Event) -> str:
        return pretty(obj.payload)

    @display(description=gettext_lazy("at Stripe"))
    def at_stripe(self, obj: Event) -> str:
        url = at_stripe("events", obj.pk, livemode=obj.livemode)
        words = _("Open its page in Stripe's dashboard")
        return format_html('<a href="{}" rel="noreferrer">{}</a>', url, words)

    def has_process_permission(self, request: HttpRequest) -> bool:
        return verbs.may_change(self, request)

    @admin.action(
        description=gettext_lazy("Process the selected events again"), permissions=["process"]
    )
    def make_due(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Enqueues only: the worker does the work."""
        instead = _("The command comp_process_events takes any number.")
        found = verbs.chosen(self, request, rows, "state", "type", instead=instead)
        if found is None:
            return None
        left = set(_idle(event.pk for event in found))
        moved = [event for event in found if event.pk not in left]
        count = process_again(Event.objects.filter(pk__in=[event.pk for event in moved]))
        verbs.record(request, moved, _("Asked the worker to process it again."))
        self._tell(request, count, left=len(left))
        return verbs.back(self, request, found)

    def _tell(self, request: HttpRequest, count: int, *, left: int) -> None:
        text = ngettext(
            "The worker will process %d event again: if it was done, its e-mails and the like are"
            " sent once more.",
            "The worker will process %d events again: of those that were done, e-mails and the like"
            " are sent once more.",
            count,
        )
        if count:
            self.message_user(request, text % count, messages.SUCCESS)
        text = ngettext(
            "%d event is stored only, for nothing here is concerned with it: it was left alone.",
            "%d events are stored only, for nothing here is concerned with them: they were left"
            " alone.",
            left,
        )
        if left:
            self.message_user(request, text % left, messages.WARNING)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        is_idle = obj is not None and _idle([obj.pk])
        context = {
            "may_act": self.has_process_permission(request) and not is_idle,
            "verb": "make_due",
            "verb_name": _("Process again"),
        }
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )


def _idle(keys: Iterable[str]) -> list[str]:
    """Those of these events for which there is nothing to do."""
    return list(Event.objects.filter(idle(), pk__in=list(keys)).values_list("pk", flat=True))
