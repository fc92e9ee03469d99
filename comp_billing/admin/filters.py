"""Filters that cost no walk through a table."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from comp_billing import intents
from comp_billing.models import Event, EventState
from comp_core.db import each_value


class PresenceFilter(admin.SimpleListFilter):
    """Objects that exist, unless asked for the others."""

    title = _("presence")
    parameter_name = "presence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("deleted", _("Deleted or removed")),
            ("awaited", _("Named, not received yet")),
            ("doubtful", _("To be fetched")),
            ("all", _("All")),
        ]

    def choices(self, changelist: Any) -> Any:
        choices = list(super().choices(changelist))
        choices[0]["display"] = _("Existing")
        return choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "all":
            return queryset
        if self.value() == "awaited":
            return queryset.filter(as_of=None)
        if self.value() == "doubtful":
            return queryset.filter(fetch_at__isnull=False)
        return queryset.filter(as_of__isnull=False, deleted=self.value() == "deleted")


def among(name: str, description: Any, *values: str) -> Any:
    """A filter by the values that Stripe documents: asking the table for those it has would read
    all of it."""

    class ValueFilter(admin.SimpleListFilter):
        title = description
        parameter_name = name

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
            return [(value, value) for value in values]

        def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
            return queryset.filter(**{name: self.value()}) if self.value() else queryset

    return ValueFilter


class TypeFilter(admin.SimpleListFilter):
    """The types of the events that are here, from the index."""

    title = _("type")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, name) for name in each_value(Event.objects.all(), "type")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(type=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    """What became of events; those that need a person stand first."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        trouble = [EventState.DEAD, EventState.FAILED]
        rest = [state for state in EventState if state not in trouble]
        return [(state.value, state.label) for state in [*trouble, *rest]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value()) if self.value() else queryset


class KindFilter(admin.SimpleListFilter):
    """The kinds of intents that are known here."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(kind, kind) for kind in sorted(intents.KINDS)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset
