"""One kind of Stripe objects in the admin: looked at, never edited; fetched anew when asked for.

A host's own kinds use ``StripeObjectAdmin`` too: register them with a subclass of it.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import display
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from comp_billing.admin import verbs
from comp_billing.admin.columns import pretty, second, state_of
from comp_billing.admin.filters import PresenceFilter
from comp_billing.admin.large import LargeTableAdmin
from comp_billing.admin.relations import related_rows
from comp_billing.models import StripeObject, Sync
from comp_billing.operators import DASHBOARD
from comp_billing.sync import requests

# Of every kind; what else a model has stands first on its page.
GUARDED = {field.name for field in StripeObject._meta.fields}
SAID_AT = second("as_of", gettext_lazy("said by Stripe"))


class StripeObjectAdmin(LargeTableAdmin):
    """The list and the pages of one kind.

    ``dashboard`` is the path of such an object's page at Stripe, below which its id follows;
    empty when it has none. ``exact`` are the lookups by which an id is found, beside its own;
    ``readable`` the columns, by field, that its page shows in a field's place.
    """

    dashboard: ClassVar[str] = ""
    readable: ClassVar[dict[str, Any]] = {}
    search_fields = ["stripe_id"]
    ordering = ["-as_of", "-stripe_id"]
    sortable_by: ClassVar[Any] = ["stripe_id", SAID_AT]
    list_filter: ClassVar[Any] = [PresenceFilter]
    unlisted = ("data",)
    actions = ["fetch_again"]
    change_form_template = "comp_billing/admin/stripe_object.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        # Links lead to tombstones and placeholders too; the list leaves them to the filter.
        rows: QuerySet[Any] = self.model.all_objects.order_by(*self.ordering)
        if self.is_listing(request):
            return rows.defer(*self.unlisted)
        fields = self.model._meta.concrete_fields
        return rows.select_related(*(one.name for one in fields if isinstance(one, ForeignKey)))

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return [*super().get_list_display(request), SAID_AT, "oddity"]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        names = [field.name for field in self.model._meta.fields if field.name not in GUARDED]
        own = [self.readable.get(name, name) for name in names]
        kept = ["state", SAID_AT, "api_version", "livemode"]
        return [
            (None, {"fields": ["stripe_id", "at_stripe", *own]}),
            (gettext_lazy("What is known of it"), {"fields": kept}),
            (gettext_lazy("As received"), {"fields": ["received"], "classes": ["collapse"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        return [
            name for _title, options in self.get_fieldsets(request) for name in options["fields"]
        ]

    @display(description=gettext_lazy("state"))
    def state(self, obj: StripeObject) -> str:
        return state_of(obj) or _("As Stripe last said")

    @display(description=gettext_lazy("state"))
    def oddity(self, obj: StripeObject) -> str:
        """In lists only what is out of the ordinary is told."""
        return state_of(obj) or "-"

    @display(description=gettext_lazy("received"))
    def received(self, obj: StripeObject) -> str:
        return pretty(obj.data)

    @display(description=gettext_lazy("at Stripe"))
    def at_stripe(self, obj: StripeObject) -> str:
        url = self.dashboard_url(obj)
        words = _("Open its page in Stripe's dashboard")
        return format_html('<a href="{}" rel="noreferrer">{}</a>', url, words) if url else "-"

    def dashboard_url(self, obj: StripeObject) -> str:
        """Of the object's page in Stripe's dashboard, in its own mode; empty when it has none."""
        return at_stripe(self.dashboard, obj.pk, livemode=obj.livemode) if self.dashboard else ""

    def has_fetch_permission(self, request: HttpRequest) -> bool:
        """Who may have rows fetched anew, one by one or all of the kind."""
        return bool(self.model.collection) and verbs.may_change(self, request)

    @admin.action(
        description=gettext_lazy("Fetch the selected objects from Stripe"), permissions=["fetch"]
    )
    def fetch_again(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponse | None:
        """Enqueues only: the worker makes the calls, and newer news is never overwritten."""
        instead = _("Reconcile the whole list instead.")
        found = verbs.chosen(self, request, rows, instead=instead)
        if found is None:
            return None
        marked = requests.refetch(self.model, found)
        words = _("Asked the worker to fetch it from Stripe.")
        verbs.record(request, [row for row in found if row.pk in marked], words)
        verbs.tell_refetch(self, request, found, marked)
        return verbs.back(self, request, found)

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_reconcile"
        view = self.admin_site.admin_view(self.reconcile_view)
        return [path("reconcile/", view, name=name), *super().get_urls()]

    def reconcile_view(self, request: HttpRequest) -> HttpResponseBase:
        """POST: have the worker read Stripe's whole list of this kind."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_fetch_permission(request):
            raise PermissionDenied
        if not reconcile(self, request, [self.model.kind]):
            raise Http404
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        may = self.model.is_listed and self.has_fetch_permission(request)
        context = {"may_reconcile": may, **(extra_context or {})}
        return super().changelist_view(request, context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        context = {
            "may_act": self.has_fetch_permission(request),
            "verb": "fetch_again",
            "verb_name": _("Fetch from Stripe again"),
            "related": list(related_rows(self.admin_site, request, obj)) if obj else [],
        }
        return super().change_view(
            request, object_id, form_url, {**context, **(extra_context or {})}
        )


def at_stripe(section: str, key: str, *, livemode: bool) -> str:
    """The address of a page in Stripe's dashboard, whose test mode has pages of its own."""
    return f"{DASHBOARD}/{'' if livemode else 'test/'}{section}/{key}"


def reconcile(shown: admin.ModelAdmin[Any], request: HttpRequest, kinds: list[str]) -> list[str]:
    """Have the worker read whole lists; answers the kinds that can be read."""
    asked = requests.request(kinds)
    if asked:
        verbs.record(
            request,
            Sync.objects.filter(pk__in=asked),
            _("Asked the worker to read the whole list."),
        )
        text = _(
            "The worker will read Stripe's whole list of %s objects, a hundred with each call. What"
            " is missing here is added, what is gone there is marked, newer news stays."
        )
        shown.message_user(request, text % ", ".join(asked), messages.SUCCESS)
    return asked
