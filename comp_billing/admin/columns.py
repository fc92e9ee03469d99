"""What the pages of comp_billing's admin show of one row, column by column."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from django.contrib.admin import display
from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from comp_billing.mirror import Rank
from comp_billing.models import StripeObject
from comp_billing.money import format_amount
from comp_billing.stripe_api import SECRETS

# What a browser shows without effort; the whole of it is at Stripe.
MOST_CHARACTERS = 50_000
# Whoever has one of these values can act with it.
SECRET_NAMES = ("client_secret", "secret", "signing_secret")
HIDDEN = "[hidden]"


def related(name: str, description: Any) -> Any:
    """A column that leads to a related object by its id, for which no other row is read."""

    @display(description=description)
    def column(obj: Any) -> str:
        field = obj._meta.get_field(name)
        key = getattr(obj, field.attname)
        if key is None:
            return "-"
        # What is known by more than its id is read with the list.
        if not issubclass(field.related_model, StripeObject):
            return link(field.related_model, key, getattr(obj, name))
        return link(field.related_model, key, key)

    column.relation = name  # type: ignore[attr-defined]  # read by lists of related rows
    return column


def link(model: Any, key: Any, text: Any) -> str:
    """To a row's page; the text alone when there is no such page."""
    try:
        # The admin writes "_" as "_5F", and would read the "_2F" of "cus_2Fab" as a slash.
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
        url = reverse(name, args=[quote(key)])
    except NoReverseMatch:
        return str(text)
    return format_html('<a href="{}">{}</a>', url, text)


def amount(name: str, description: Any) -> Any:
    """A column that shows an amount of minor units as people write it."""

    @display(description=description)
    def column(obj: Any) -> str:
        return format_amount(getattr(obj, name), obj.currency) or "-"

    return column


def second(name: str, description: Any) -> Any:
    """A column that shows Unix seconds of Stripe's clock as a moment."""

    @display(description=description, ordering=name)
    def column(obj: Any) -> str:
        return moment_of(getattr(obj, name))

    return column


def moment_of(seconds: int | None) -> str:
    """To the second, as logs have it; a dash for no moment, or one beyond all calendars."""
    try:
        found = datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
    except (OverflowError, OSError, ValueError):
        found = None
    return f"{timezone.localtime(found):%Y-%m-%d %H:%M:%S %Z}" if found else "-"


def state_of(obj: StripeObject) -> str:
    """What a row is, in words, where it is more or less than what Stripe last said."""
    return capfirst("; ".join(words for words in (_existence(obj), _doubt(obj)) if words))


def _existence(obj: StripeObject) -> str:
    if obj.as_of is None:
        return _("Named, not received yet")
    if obj.deleted:
        return _("Deleted at Stripe") if obj.rank >= Rank.DELETED else _("No longer at Stripe")
    return ""


def _doubt(obj: StripeObject) -> str:
    if obj.fetch_at is None:
        return ""
    if not obj.fetch_attempts:
        return _("to be fetched")
    tried = ngettext("asked for once", "asked for %d times", obj.fetch_attempts)
    words = tried % obj.fetch_attempts if "%" in tried else tried
    return f"{words}, {_('next at')} {timezone.localtime(obj.fetch_at):%H:%M:%S %Z}"


def pretty(data: Any) -> str:
    """JSON as received, as far as a page should hold it, without what could be acted with."""
    text = json.dumps(_without_secrets(data), indent=2, sort_keys=True, ensure_ascii=False)
    text = SECRETS.sub(HIDDEN, text)
    left = len(text) - MOST_CHARACTERS
    more = ngettext("… and %d more character", "… and %d more characters", left) % left
    shown = f"{text[:MOST_CHARACTERS]}\n{more}" if left > 0 else text
    return format_html('<pre class="comp-printed">{}</pre>', shown)


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: HIDDEN if key in SECRET_NAMES and item else _without_secrets(item)
            for key, item in value.items()
        }
    return [_without_secrets(item) for item in value] if isinstance(value, list) else value
