"""What operators ask for in the admin: it is written down for the worker, who does it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.admin import ModelAdmin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth import get_permission_codename
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

# What one request may ask for; whole lists, and commands, take any number.
MOST_AT_ONCE = 500


def may_change(admin: ModelAdmin[Any], request: HttpRequest) -> bool:
    """Whether the user has the permission to change such rows: nobody may edit them, but to have
    the worker see to them is a change too."""
    codename = get_permission_codename("change", admin.opts)
    return request.user.has_perm(f"{admin.opts.app_label}.{codename}")


def chosen(
    admin: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any], *columns: str, instead: str
) -> list[Any] | None:
    """The rows of an action, with these columns. None when they are too many, which is told with
    what to do instead."""
    plain = rows.select_related(None).order_by().only("pk", *columns)
    found = list(plain[: MOST_AT_ONCE + 1])
    if len(found) <= MOST_AT_ONCE:
        return found
    text = _("Choose at most %d rows at a time.") % MOST_AT_ONCE
    admin.message_user(request, f"{text} {instead}", messages.ERROR)
    return None


def record(request: HttpRequest, rows: Iterable[Any], words: str) -> None:
    """Write into the admin's log who asked for what, of each row."""
    user_id = request.user.pk
    # The stubs know of an anonymous user, whom the admin lets nowhere.
    if user_id is not None:
        LogEntry.objects.log_actions(user_id, rows, CHANGE, change_message=words)


def back(admin: ModelAdmin[Any], request: HttpRequest, rows: list[Any]) -> HttpResponse | None:
    """To the page of the row whose button was pressed; None: to the list."""
    if "on_page" not in request.POST or len(rows) != 1:
        return None
    name = f"admin:{admin.opts.app_label}_{admin.opts.model_name}_change"
    return redirect(name, quote(rows[0].pk))


def tell_refetch(
    admin: ModelAdmin[Any], request: HttpRequest, rows: list[Any], marked: set[str]
) -> None:
    """What the worker will fetch, and what it will not: the deleted stay deleted."""
    text = ngettext(
        "The worker will fetch %d object from Stripe within seconds; newer news stays.",
        "The worker will fetch %d objects from Stripe within seconds; newer news stays.",
        len(marked),
    )
    if marked:
        admin.message_user(request, text % len(marked), messages.SUCCESS)
    left = len(rows) - len(marked)
    text = ngettext(
        "%d object was deleted at Stripe, or cannot be fetched: it stays as it is.",
        "%d objects were deleted at Stripe, or cannot be fetched: they stay as they are.",
        left,
    )
    if left:
        admin.message_user(request, text % left, messages.WARNING)
