"""Events, and the signatures that they arrive with."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

from benchmarks.bodies.catalog import customer, price, product
from benchmarks.bodies.ids import EPOCH, Json, key
from benchmarks.bodies.invoices import invoice
from benchmarks.bodies.subscriptions import subscription

API_VERSION = "2026-10-28.endive"
# Of nothing: no account has it.
SECRET = "whsec_benchmarks"  # noqa: S105

# What a collection's path names, and the object's maker.
COLLECTIONS: dict[str, tuple[str, Callable[[int], Json]]] = {
    "products": ("prod", product),
    "prices": ("price", price),
    "customers": ("cus", customer),
    "subscriptions": ("sub", subscription),
    "invoices": ("in", invoice),
}


def event(number: int, event_type: str, obj: Json, **previous: Any) -> bytes:
    """The body of an event that Stripe says happened ``number`` seconds after the epoch."""
    data: Json = {"object": obj}
    if previous:
        data["previous_attributes"] = previous
    return pretty(
        {
            "id": key("evt", number),
            "object": "event",
            "api_version": API_VERSION,
            "created": EPOCH + number,
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": event_type,
        }
    )


def pretty(value: Json) -> bytes:
    """JSON as Stripe sends it."""
    return json.dumps(value, indent=2).encode()


def signature(body: bytes) -> str:
    """The header that Stripe would send with a body now."""
    moment = str(int(time.time()))
    signed = hmac.new(SECRET.encode(), moment.encode() + b"." + body, hashlib.sha256)
    return f"t={moment},v1={signed.hexdigest()}"
