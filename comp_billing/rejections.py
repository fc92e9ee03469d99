"""Usage that Stripe took and then did not count: it says so only later, in thin events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from comp_billing import shapes, stripe_api, usage
from comp_billing.handlers import on
from comp_billing.models import Event, StripeObject

REPORTS = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")


@on(*REPORTS, stored=True)
def mark_rejected(event: Event, obj: StripeObject | None, previous: dict[str, Any]) -> None:
    """Mark the usage records that a report names. A thin event says nothing itself: it is fetched
    with one call, by the worker."""
    path = f"/v2/core/events/{quote(event.stripe_id, safe='')}"
    for identifier, code, message in rejected(stripe_api.call("get", path).data):
        usage.reject(identifier, code=code, message=message)


def rejected(report: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Identifier, code and message of every sample in a report; Stripe gives samples only."""
    reason = shapes.mapping(shapes.mapping(report.get("data")).get("reason"))
    for error in reason.get("error_types") or []:
        for sample in shapes.mapping(error).get("sample_errors") or []:
            request = shapes.mapping(shapes.mapping(sample).get("request"))
            identifier = shapes.text(request.get("identifier"))
            message = shapes.text(sample.get("error_message"))
            yield identifier, shapes.text(error.get("code")), message
