"""Money, durations, statuses and authors' texts as pages show them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import nh3
from django import template
from django.utils import formats
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from markdown_it import MarkdownIt

from comp_core import printed
from comp_core.models import Attempt, Interruption, Run

register = template.Library()
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"


@register.filter
def money(amount: Decimal | None, currency: str) -> str:
    """An amount in currency units with all its digits, such as ``0.0201 USD``; none is dropped,
    so that what is shown is what is billed."""
    if amount is None:
        return "–"
    places = max(0, -int(amount.normalize().as_tuple().exponent))
    # Two places where there are any: 0.5 reads as a price only as 0.50.
    places = max(places, 2) if places else 0
    number = formats.number_format(amount, decimal_pos=places, use_l10n=True, force_grouping=True)
    return f"{number}{NARROW_SPACE}{currency.upper()}"


@register.filter
def seconds(value: Any) -> str:
    """A duration in seconds: to the millisecond below a minute, in minutes and hours above."""
    if value is None:
        return "–"
    number = Decimal(value)
    if number < 60:
        # Django's number_format cuts digits off; a duration is rounded.
        rounded = number.quantize(Decimal("0.001") if number % 1 else Decimal(1))
        return f"{formats.number_format(rounded)}{NARROW_SPACE}s"
    minutes, rest = divmod(int(number), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        (hours, ngettext("%d hour", "%d hours", hours)),
        (minutes, ngettext("%d minute", "%d minutes", minutes)),
        (rest, ngettext("%d second", "%d seconds", rest)),
    ]
    return " ".join(text % count for count, text in parts if count)


@register.filter
def exact_seconds(value: Decimal) -> str:
    """A run time with all its digits, so that a receipt can be worked out again by hand."""
    return f"{formats.number_format(_trimmed(value), force_grouping=True)}{NARROW_SPACE}s"


def _trimmed(value: Decimal) -> Decimal:
    return value.quantize(Decimal(1)) if value == value.to_integral() else value.normalize()


@register.filter
def percent(fraction: float) -> int:
    """A fraction as a whole number of per cents, rounded down: 100 means done."""
    return int(fraction * 100)


@register.filter
def status_badge(run: Run) -> SafeString:
    """The status in words; the style sheet adds a shape, so that colour is never alone."""
    words = run.get_status_display()
    if run.status == "running" and run.cancel_requested_at:
        words = _("Being cancelled")
    return format_html('<span class="status {}">{}</span>', run.status, words)


@register.filter
def plain(text: str) -> str:
    """What a model printed, without terminal escapes; the page escapes it as any other text."""
    return printed.plain(text)


@register.filter
def interruption(attempt: Attempt) -> str:
    """What befell an attempt that was interrupted, to its run's owner."""
    words = {
        Interruption.WORKER_LOST: _("the worker of attempt %d was lost."),
        Interruption.RELEASED: _("the worker of attempt %d had to stop."),
        Interruption.REQUEUED: _("an operator of this site took attempt %d back."),
        Interruption.GIVEN_UP: _("an operator of this site gave attempt %d up."),
    }
    return words[Interruption(attempt.reason)] % attempt.number


@register.filter
def cell(value: Any) -> Any:
    """A table cell: nothing for no value, numbers by the reader's locale, the rest as it is."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int | float):
        return formats.localize(value) if isinstance(value, int) else _decimal(value)
    return value


def _decimal(value: float) -> str:
    """A float in its shortest exact form, with the locale's decimal mark."""
    text = repr(value).removesuffix(".0")
    return text if "e" in text else text.replace(".", formats.get_format("DECIMAL_SEPARATOR"))


@register.filter
def pairs(one: list[Any], other: list[Any]) -> list[tuple[Any, Any]]:
    """Two lists side by side."""
    return list(zip(one, other, strict=True))


@register.filter
def markdown(text: str) -> SafeString:
    """An author's Markdown as HTML that cannot harm: no raw HTML, no scripts, no styles."""
    html = MarkdownIt("js-default").render(text)
    return mark_safe(nh3.clean(html))  # noqa: S308  # cleaned on this very line
