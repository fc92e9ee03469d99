"""Signed webhook bodies for tests of a receiver."""

import json
from typing import Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.webhooks import sign

__all__ = ["sign", "signed_event"]


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
