"""What a quantity costs at a price, and the least that Stripe charges."""

from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Any

Json = dict[str, Any]

# Least charge in minor units. Source: docs.stripe.com/currencies#minimum-and-maximum-charge-amounts
MINIMUMS = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500,
    "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000,
    "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000,
}  # fmt: skip


def minimum(currency: str) -> int:
    """The least amount that can be charged, in minor units."""
    return MINIMUMS.get(currency, 50)


def rounded(amount: Decimal) -> int:
    """Minor units, half up: once for a line."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def cost(price: Json, quantity: int) -> int:
    """The amount of a line in minor units; a negative quantity costs nothing."""
    units = Decimal(max(quantity, 0))
    if transform := price["transform_quantity"]:
        rounding = ROUND_UP if transform["round"] == "up" else ROUND_DOWN
        units = (units / transform["divide_by"]).quantize(Decimal(1), rounding)
    if price["billing_scheme"] == "tiered":
        return rounded(_tiered(price, units))
    return rounded(units * Decimal(price["unit_amount_decimal"]))


def _tiered(price: Json, units: Decimal) -> Decimal:
    if price["tiers_mode"] == "volume":
        tier = next(t for t in price["_tiers"] if t["up_to"] is None or units <= t["up_to"])
        return _of_tier(tier, units)
    total, below = Decimal(0), Decimal(0)
    for tier in price["_tiers"]:
        top = units if tier["up_to"] is None else min(units, Decimal(tier["up_to"]))
        if top > below or not below:
            total += _of_tier(tier, max(top - below, Decimal(0)))
        below = max(top, below)
        if units <= below:
            break
    return total


def _of_tier(tier: Json, units: Decimal) -> Decimal:
    flat = Decimal(tier["flat_amount_decimal"] or 0)
    return flat + units * Decimal(tier["unit_amount_decimal"] or 0)
