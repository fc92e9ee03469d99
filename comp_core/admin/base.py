"""What read-only admin pages share."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import display
from django.http import HttpRequest
from django.utils import timezone


def moment(name: str, description: Any) -> Any:
    """A column that shows a moment to the second: operators compare it with logs."""

    @display(description=description, ordering=name)
    def column(obj: Any) -> str:
        value = getattr(obj, name)
        return f"{timezone.localtime(value):%Y-%m-%d %H:%M:%S %Z}" if value else "-"

    return column


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Rows that the library alone writes."""

    # Neither the number of all rows nor one per filter: they cost a walk through the table.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
