"""Filters of the list of runs. Their choices cost no walk through all runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from comp_core.db import each_value
from comp_core.models import Run
from comp_core.operating import long_waiting, silent
from comp_core.registry import registered
from comp_core.status import RunStatus


class StuckFilter(admin.SimpleListFilter):
    """Runs that an operator may have to look after."""

    title = _("stuck")
    parameter_name = "stuck"
    conditions: dict[str, Callable[[], Q]] = {"silent": silent, "waiting": long_waiting}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("silent", _("Running, its worker silent")),
            ("waiting", _("Waiting for more than 10 minutes")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        condition = self.conditions.get(str(self.value()))
        return queryset.filter(condition()) if condition else queryset


class QueueFilter(admin.SimpleListFilter):
    """The queues of the installed models, and those in which runs wait."""

    title = _("queue")
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        queues = {*each_value(Run.objects.filter(status=RunStatus.QUEUED, held=False), "queue")}
        queues |= {spec.queue for spec in registered().values()}
        return [(queue, queue) for queue in sorted(queues)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Run]) -> QuerySet[Run]:
        return queryset.filter(queue=self.value()) if self.value() else queryset
