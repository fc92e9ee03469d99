"""Usage that Stripe took and then did not count: it says so only later, in thin events."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from comp_billing import shapes, stripe_api, usage
from comp_billing.exceptions import StripeRefused
from comp_billing.handlers import on
from comp_billing.models import Event, StripeObject
from comp_billing.operators import tell_operators

logger = logging.getLogger(__name__)

REPORTS = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")


@on(*REPORTS, stored=True)
def mark_rejected(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """Mark the usage records that a report names, and tell the operators once for all of them.

    A thin event says nothing itself: it is fetched with one call, by the worker. One that Stripe
    does not hand out any more is told as such: asking again would not help.
    """
    report = _fetched(event)
    errors = list(rejected(report))
    data = shapes.mapping(report.get("data"))
    until = min(shapes.rfc3339(data.get("validation_end")) or event.created, event.created)
    named = {identifier for identifier, _code, _message in errors if identifier}
    for identifier, code, message in errors:
        usage.reject(identifier, code=code, message=message, until=until)
    context = {
        "id": event.stripe_id,
        "unreadable": not errors,
        "count": max(_count(_reason(report)), len(named)),
        "named": len(named),
        "codes": sorted({code for _identifier, code, _message in errors if code}),
    }
    tell_operators("usage_rejected", context)


def _fetched(event: Event) -> dict[str, Any]:
    path = f"/v2/core/events/{quote(event.stripe_id, safe='')}"
    try:
        return stripe_api.call("get", path).data
    except StripeRefused as exc:
        logger.error("The report %s cannot be had: %s", event.pk, exc.code)
        return {}


def rejected(report: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Identifier, code and message of every sample in a report; Stripe gives samples only."""
    for error in _objects(_reason(report).get("error_types")):
        for sample in _objects(error.get("sample_errors")):
            identifier = shapes.text(shapes.mapping(sample.get("request")).get("identifier"))
            message = shapes.text(sample.get("error_message"))
            yield identifier, shapes.text(error.get("code")), message


def _reason(report: dict[str, Any]) -> dict[str, Any]:
    return shapes.mapping(shapes.mapping(report.get("data")).get("reason"))


def _count(reason: dict[str, Any]) -> int:
    return shapes.integer(reason.get("error_count")) or 0


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
