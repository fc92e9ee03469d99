"""Ids as long as Stripe's, and when everything happened."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ACCOUNT = "acct_bench000000000001"
# 1 November 2026; a month long.
EPOCH = 1_793_491_200
MONTH = 30 * 24 * 3600
PRICES = 10


def key(prefix: str, number: int) -> str:
    """An id as long as Stripe's."""
    return f"{prefix}_bench{number:019d}"


def number_of(stripe_id: str) -> int:
    return int(stripe_id.rpartition("bench")[2])
