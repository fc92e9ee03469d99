"""The rows that belong to a row: the first few, as their own lists show them, and a way to all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import display_for_field, label_for_field, lookup_field
from django.http import HttpRequest
from django.urls import reverse

from comp_billing.admin.columns import link
from comp_billing.admin.large import LargeTableAdmin
from comp_billing.models import UsageRecord

MOST_ROWS = 10
# One column begins a row and leads to its page; so many follow it.
MOST_COLUMNS = 5
# There is one for every run, and no index to have the newest by.
TOO_MANY = (UsageRecord,)


@dataclass(frozen=True)
class Related:
    """What a page shows of one relation."""

    title: str
    url: str
    columns: list[str]
    rows: list[list[Any]]
    has_more: bool


def related_rows(site: AdminSite, request: HttpRequest, obj: Any) -> Iterator[Related]:
    """Of every kind of row that refers to this one and that the user may see; two statements at
    most for each."""
    for relation in obj._meta.related_objects:
        model = relation.related_model
        shown = site._registry.get(model)
        # Many to many: seen through the rows in between.
        is_shown = relation.one_to_many or relation.one_to_one
        if not is_shown or not isinstance(shown, LargeTableAdmin) or model in TOO_MANY:
            continue
        if shown.has_view_permission(request):
            yield _rows(shown, request, {relation.field.name: obj.pk})


def _rows(shown: LargeTableAdmin, request: HttpRequest, condition: dict[str, Any]) -> Related:
    model = shown.model
    rows = shown.get_queryset(request).defer(*shown.unlisted).filter(**condition)
    joined = shown.get_list_select_related(request)
    rows = rows.select_related(*joined) if isinstance(joined, (list, tuple)) and joined else rows
    found = list(rows.order_by(*shown.get_ordering(request))[: MOST_ROWS + 1])
    names = [name for name in shown.get_list_display(request) if name not in condition]
    # The column that leads back here says nothing new.
    names = [name for name in names if getattr(name, "relation", None) not in condition]
    names = names[: MOST_COLUMNS + 1]
    query = {f"{name}__exact": value for name, value in condition.items()}
    query |= {"presence": "all"} if hasattr(model, "as_of") else {}
    return Related(
        title=str(model._meta.verbose_name_plural),
        url=f"{reverse(f'admin:{model._meta.app_label}_{model._meta.model_name}_changelist')}"
        f"?{urlencode(query)}",
        columns=[str(label_for_field(name, model, shown)) for name in names],
        rows=[_cells(shown, row, names) for row in found[:MOST_ROWS]],
        has_more=len(found) > MOST_ROWS,
    )


def _cells(shown: LargeTableAdmin, row: Any, names: list[Any]) -> list[Any]:
    first = link(shown.model, row.pk, _cell(shown, row, names[0]))
    return [first, *(_cell(shown, row, name) for name in names[1:])]


def _cell(shown: LargeTableAdmin, row: Any, name: Any) -> Any:
    field, _attribute, value = lookup_field(name, row, shown)
    if field is None:
        return value
    return display_for_field(value, field, shown.get_empty_value_display())
