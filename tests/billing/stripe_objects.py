"""Stripe objects written by hand, and a way to put them into the mirror."""

from __future__ import annotations

from typing import Any

from comp_billing import mirror

VERSION = "2026-10-28.endive"


def customer(**fields: Any) -> dict[str, Any]:
    return {"id": "cus_1", "object": "customer", "livemode": False, "email": "a@b.c", **fields}


def item(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": f"si_{number}",
        "object": "subscription_item",
        "price": {"id": f"price_{number}", "object": "price", "product": "prod_1"},
        "current_period_start": 100,
        "current_period_end": 200,
        **fields,
    }


def subscription(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "id": "sub_1",
        "object": "subscription",
        "livemode": False,
        "customer": "cus_1",
        "status": "active",
        "items": {"object": "list", "data": list(items), "has_more": False},
        **fields,
    }


def put(
    *objects: dict[str, Any], as_of: int = 1000, rank: int = 2, quiet: bool = False
) -> set[str]:
    return mirror.upsert(objects, as_of=as_of, rank=rank, api_version=VERSION, quiet=quiet)
