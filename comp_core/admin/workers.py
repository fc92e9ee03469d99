"""Workers and their maintenance loops as operators see them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from comp_core.admin.base import ReadOnlyAdmin, moment
from comp_core.db import from_now
from comp_core.models import MaintenanceLoop, Run, Worker
from comp_core.presence import EVERY_QUEUE, SEEN_SECONDS
from comp_core.status import RunStatus


def _running() -> Any:
    """How many runs a worker is at, as a part of the statement that reads the worker."""
    running = Run.objects.filter(status=RunStatus.RUNNING, worker_id=OuterRef("pk")).order_by()
    counted = running.values("worker_id").annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted), 0)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Which workers are alive, what they serve and what they are at."""

    list_display = [
        *("id", "alive", "serves", "slots", "runs_now"),
        *(moment("started_at", _("started")), moment("seen_at", _("seen"))),
    ]
    search_fields = ["id", "queues"]
    ordering = ["-seen_at"]
    fields = ["id", "alive", "serves", "slots", "runs_now", "started_at", "seen_at"]
    readonly_fields = ["serves", "runs_now", "alive"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        workers: Any = super().get_queryset(request)
        found: QuerySet[Any] = workers.annotate(
            running=_running(), alive_since=from_now(-SEEN_SECONDS)
        )
        return found

    @display(description=_("serves"), ordering="queues")
    def serves(self, worker: Any) -> str:
        if not worker.queues:
            return str(_("maintenance only"))
        return str(_("every queue")) if worker.queues == EVERY_QUEUE else worker.queues

    @display(description=_("runs now"), ordering="running")
    def runs_now(self, worker: Any) -> str:
        if not worker.running:
            return "-"
        url = reverse("admin:comp_core_run_changelist")
        text = ngettext("%d run", "%d runs", worker.running) % worker.running
        query = {"worker_id__exact": worker.pk, "status__exact": RunStatus.RUNNING}
        return format_html('<a href="{}?{}">{}</a>', url, urlencode(query), text)

    @display(description=_("alive"), boolean=True, ordering="seen_at")
    def alive(self, worker: Any) -> bool:
        """Seen within the last two minutes."""
        return bool(worker.seen_at > worker.alive_since)


@admin.register(MaintenanceLoop)
class MaintenanceLoopAdmin(ReadOnlyAdmin):
    """Whose turn each loop last was, and how it went."""

    list_display = [
        *("name", moment("started_at", _("started")), moment("finished_at", _("finished"))),
        *(moment("due_at", _("due again")), "worker_id", "error_type"),
    ]
    ordering = ["name"]
