"""What Stripe delivers to the webhook, written and signed by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from comp_billing import handlers

SECRET = "whsec_tests"
THIN_SECRET = "whsec_thin_tests"
ADDRESS = "/billing/webhook/"
THIN_ADDRESS = "/billing/webhook/thin/"


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None) -> str:
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
    return f"t={stamp},v1={digest.hexdigest()}"


def post(body: bytes, header: str | None = None, *, address: str = ADDRESS, **extra: Any) -> int:
    sent = signed(body) if header is None else header
    response: HttpResponse = Client().post(
        address,
        body,
        content_type="application/json",
        headers={"Stripe-Signature": sent},
        **extra,
    )
    return response.status_code


def event(event_type: str = "customer.updated", obj: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "evt_1",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": 1000,
        "livemode": False,
        "type": event_type,
        "data": {"object": obj or {"id": "cus_1", "object": "customer", "email": "a@b.c"}},
        "request": {"id": "req_1", "idempotency_key": "key_1"},
        **fields,
    }


def thin_event(
    event_type: str = "v1.billing.meter.no_meter_found", **fields: Any
) -> dict[str, Any]:
    return {
        "id": "evt_thin_1",
        "object": "v2.core.event",
        "created": "2026-11-01T12:00:00.000Z",
        "livemode": False,
        "type": event_type,
        "related_object": None,
        **fields,
    }


def tell(payload: Any) -> int:
    return post(json.dumps(payload).encode())


@pytest.fixture
def handle() -> Iterator[Any]:
    """Register a handler for the length of a test."""
    added: list[handlers.Handler[Any]] = []

    def add(*types: str, handler: handlers.Handler[Any], **options: Any) -> None:
        added.append(handlers.on(*types, **options)(handler))

    yield add
    for handler in added:
        handlers.unregister(handler)
