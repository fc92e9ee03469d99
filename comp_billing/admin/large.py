"""Tables of any size: what a page costs does not grow with them."""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from comp_core.admin import ReadOnlyAdmin

# Nobody turns so many pages; whoever looks for something searches.
MOST_COUNTED = 10_000
# Ids of Stripe's look like this, and little else does.
ID = re.compile(r"[a-z]+(?:_[A-Za-z0-9]+)+")


class BoundedPaginator(Paginator[Any]):
    """Counts rows as far as MOST_COUNTED, and has no page beyond that."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]  # the admin's queryset
        return rows.order_by()[:MOST_COUNTED].count()


class LargeTableAdmin(ReadOnlyAdmin):
    """Rows of which there may be millions.

    ``exact``: lookups that answer from an index, by which whatever looks like an id is found.
    ``unlisted``: large columns that the list does not read.
    """

    exact: ClassVar[tuple[str, ...]] = ("pk",)
    unlisted: ClassVar[tuple[str, ...]] = ()
    paginator = BoundedPaginator
    list_per_page = 50
    list_max_show_all = 200
    change_list_template = "comp_billing/admin/change_list.html"

    class Media:
        css = {"all": ["comp_core/admin.css"]}

    def is_listing(self, request: HttpRequest) -> bool:
        """Whether the list is asked for, and not the page of one row."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return bool(request.resolver_match and request.resolver_match.url_name == name)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.defer(*self.unlisted) if self.is_listing(request) else rows

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """An id is looked up, of the row or of what it belongs to; all else is searched for."""
        term = search_term.strip()
        if ID.fullmatch(term):
            known = queryset.filter(reduce(or_, (Q(**{name: term}) for name in self.exact)))
            if known.exists():
                return known, False
        return super().get_search_results(request, queryset, search_term)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        context = {"most_counted": MOST_COUNTED, **(extra_context or {})}
        return super().changelist_view(request, context)
