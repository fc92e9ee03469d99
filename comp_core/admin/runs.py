"""Runs in the admin: seen, never edited; moved by the verbs that pages and commands call too."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import display
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from comp_core.admin import details
from comp_core.admin.base import ReadOnlyAdmin, moment
from comp_core.admin.filters import QueueFilter, StuckFilter
from comp_core.models import Run
from comp_core.operating import LONG_WAIT_SECONDS, VERBS, Done, meaning, summary, with_clock
from comp_core.status import RunStatus
from comp_core.templatetags.comp_runs import money, seconds, status_badge

# What one request may move; each run is a transaction of its own.
MOST_AT_ONCE = 500
# Runs that were left alone are told one by one, so many of them.
MOST_TOLD = 10
# Large texts that the list does not show.
UNLISTED = ("outputs", "error_message", "traceback", "stdout_tail")


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Every run of every model."""

    list_display = [
        *("short_id", "state", "owner", "project", "queue"),
        *(moment("created", _("submitted")), "attempt", "duration", "cost"),
    ]
    list_filter = [StuckFilter, "status", "held", QueueFilter, "project", "created"]
    list_select_related = ["project", "owner__user"]
    search_fields = ["id", "title", f"owner__user__{get_user_model().USERNAME_FIELD}"]
    actions = ["cancel_runs", "requeue_runs", "mark_runs_lost"]
    fieldsets = details.FIELDSETS
    readonly_fields = details.COMPUTED
    change_form_template = "comp_core/admin/run.html"

    class Media:
        css = {"all": ["comp_core/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        runs: QuerySet[Any] = with_clock(super().get_queryset(request))
        listing = request.resolver_match and request.resolver_match.url_name
        return runs.defer(*UNLISTED) if listing == "comp_core_run_changelist" else runs

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A whole id is looked up; anything else is searched for."""
        try:
            return queryset.filter(pk=uuid.UUID(search_term.strip())), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

    @display(description=_("run"), ordering="id")
    def short_id(self, run: Run) -> str:
        return f"{str(run.pk)[:8]} {run.title}".strip()

    @display(description=_("status"), ordering="status")
    def state(self, run: Any) -> str:
        """The status, what it means as a hint, and in red what an operator should look at."""
        held = _("held") if run.held else ""
        template = '<span title="{}">{} {}</span> <strong class="comp-note">{}</strong>'
        return format_html(template, meaning(run), status_badge(run), held, _note(run))

    @display(description=_("run time"), ordering="run_time")
    def duration(self, run: Run) -> str:
        return seconds(run.run_time)

    @display(description=_("cost"), ordering="run_cost")
    def cost(self, run: Run) -> str:
        return money(run.run_cost, run.currency)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("comp_core.change_run")

    @admin.action(description=_("Cancel the selected runs"), permissions=["operate"])
    def cancel_runs(self, request: HttpRequest, runs: QuerySet[Run]) -> HttpResponse | None:
        return self.operate(request, "cancel", runs)

    @admin.action(description=_("Start the selected runs again"), permissions=["operate"])
    def requeue_runs(self, request: HttpRequest, runs: QuerySet[Run]) -> HttpResponse | None:
        return self.operate(request, "requeue", runs)

    @admin.action(description=_("Give the selected runs up as lost"), permissions=["operate"])
    def mark_runs_lost(self, request: HttpRequest, runs: QuerySet[Run]) -> HttpResponse | None:
        return self.operate(request, "mark_lost", runs)

    def operate(
        self, request: HttpRequest, verb: str, selected: QuerySet[Run]
    ) -> HttpResponse | None:
        """Move the selected runs and say what became of each; first ask, where work is lost."""
        runs = list(selected[: MOST_AT_ONCE + 1])
        if len(runs) > MOST_AT_ONCE:
            text = _("Choose at most %d runs at a time. The command comp_runs takes any number.")
            self.message_user(request, text % MOST_AT_ONCE, messages.ERROR)
            return None
        running = [run for run in runs if run.status == RunStatus.RUNNING]
        asked = verb == "mark_lost" or (verb == "requeue" and running)
        if asked and "confirmed" not in request.POST:
            return self._ask(request, verb, runs)
        done = [VERBS[verb](run) for run in runs]
        self._tell(request, done)
        return None

    def _ask(self, request: HttpRequest, verb: str, runs: list[Run]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Are you sure?"),
            "opts": self.opts,
            "verb": verb,
            "runs": runs,
            "running": sum(run.status == RunStatus.RUNNING for run in runs),
            "action": request.POST.get("action", ""),
            "media": self.media,
        }
        return TemplateResponse(request, "comp_core/admin/confirm.html", context)

    def _tell(self, request: HttpRequest, done: list[Done]) -> None:
        moved = [each for each in done if each.result.moved]
        left = [each for each in done if not each.result.moved]
        for each in moved:
            self.log_change(request, each.run, each.words)
        level = messages.WARNING if moved else messages.ERROR
        self.message_user(request, summary(done), level if left else messages.SUCCESS)
        for each in left[:MOST_TOLD]:
            self.message_user(request, f"{each.run} ({each.run.pk}): {each.words}", level)
        more = len(left) - MOST_TOLD
        if more > 0:
            text = ngettext("%d more run was left alone.", "%d more runs were left alone.", more)
            self.message_user(request, text % more, level)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.operate_view)
        own = path("<uuid:pk>/operate/", view, name="comp_core_run_operate")
        return [own, *super().get_urls()]

    def operate_view(self, request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
        """The buttons on the page of one run. POST ``verb``: cancel, requeue or mark_lost."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_operate_permission(request):
            raise PermissionDenied
        found = self.get_queryset(request).select_related("project").filter(pk=pk)
        verb = request.POST.get("verb", "")
        if verb not in VERBS or not found.exists():
            raise Http404
        return self.operate(request, verb, found) or redirect("admin:comp_core_run_change", pk)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        may = {"may_operate": self.has_operate_permission(request)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **may})


def _note(run: Any) -> Any:
    if run.lease_expires_at is not None and run.lease_expires_at < run.db_now:
        return _("worker silent")
    waits = run.status == RunStatus.QUEUED and not run.held and run.queued_at is not None
    if waits and (run.db_now - run.queued_at).total_seconds() > LONG_WAIT_SECONDS:
        return _("waits long")
    return ""
