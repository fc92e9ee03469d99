"""Signed webhook bodies for tests of a receiver."""

import json
from datetime import UTC, datetime
from typing import Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.webhooks import sign

__all__ = ["sign", "signed_event", "signed_thin_event"]


def signed_event(
    event_type: str,
    obj: dict[str, Any],
    *,
    secret: str,
    timestamp: int | None = None,
    **fields: Any,
) -> tuple[bytes, str]:
    """The body of an event on `obj`, and its `Stripe-Signature` header.

    `timestamp` is the header's, in seconds, now unless given; `fields` replace those of the
    event (`id`, `created`, `api_version`, `livemode`, `request`, `previous_attributes`).
    """
    data: dict[str, Any] = {"object": obj}
    if "previous_attributes" in fields:
        data["previous_attributes"] = fields.pop("previous_attributes")
    event = {
        "id": ids.new_id("event"),
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": obj.get("created", 0),
        "data": data,
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": event_type,
        **fields,
    }
    body = json.dumps(event).encode()
    return body, sign(body, secret, timestamp=timestamp)


def signed_thin_event(
    event_type: str,
    *,
    secret: str,
    related: tuple[str, str] | None = None,
    timestamp: int | None = None,
    **fields: Any,
) -> tuple[bytes, str]:
    """The body of a thin event, and its `Stripe-Signature` header.

    `related` is the kind and the id of the object that the event is about; `timestamp` is the
    header's, in seconds, now unless given; `fields` replace those of the event.
    """
    event = {
        "id": ids.new_id("v2.core.event"),
        "object": "v2.core.event",
        "context": None,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "livemode": False,
        "reason": None,
        "related_object": _related(*related) if related else None,
        "type": event_type,
        **fields,
    }
    body = json.dumps(event).encode()
    return body, sign(body, secret, timestamp=timestamp)


def _related(kind: str, object_id: str) -> dict[str, str]:
    collection = kind.replace(".", "/") + "s"
    return {"id": object_id, "type": kind, "url": f"/v1/{collection}/{object_id}"}
