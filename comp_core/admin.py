"""Runs and workers as operators see them: nothing is edited, verbs are the lifecycle's."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from comp_core.lifecycle import cancel
from comp_core.models import Run, Worker


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Rows that the library alone writes."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Every run of every model."""

    list_display = [
        "id",
        "project",
        "owner",
        "status",
        "attempt",
        "run_time",
        "run_cost",
        "created",
    ]
    list_filter = ["status", "project", "queue"]
    list_select_related = ["project", "owner__user"]
    search_fields = ["id", "title", f"owner__user__{get_user_model().USERNAME_FIELD}"]
    date_hierarchy = "created"
    actions = ["cancel_runs"]

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("comp_core.change_run")

    @admin.action(description=_("Cancel the selected runs"), permissions=["cancel"])
    def cancel_runs(self, request: HttpRequest, runs: QuerySet[Run]) -> None:
        unfinished = [run for run in runs if not run.is_finished]
        for run in unfinished:
            cancel(run)
        text = ngettext(
            "%d run is being cancelled.", "%d runs are being cancelled.", len(unfinished)
        )
        self.message_user(request, text % len(unfinished), messages.SUCCESS)


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Which workers are alive."""

    list_display = ["id", "queues", "started_at", "seen_at"]
