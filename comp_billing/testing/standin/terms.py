"""What a new subscription is agreed on: its anchor, trial, currency, card and settings."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import cards, ids, items
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.fields import given
from comp_billing.testing.standin.periods import add_months, moment
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DAY = 86400
FIELDS = (
    "cancel_at_period_end",
    "collection_method",
    "days_until_due",
    "description",
    "metadata",
    "payment_settings",
    "trial_settings",
    "automatic_tax",
    "pause_collection",
)


def _anchor(params: Json, now: int) -> int:
    """When the cycle turns for the first time, or the present."""
    if "billing_cycle_anchor" in params:
        if params["billing_cycle_anchor"] < now:
            raise ApiError(
                "billing_cycle_anchor cannot be in the past.", param="billing_cycle_anchor"
            )
        return int(params["billing_cycle_anchor"])
    config = params.get("billing_cycle_anchor_config")
    if not config:
        return now
    start = moment(now)
    for months in range(14):
        # a day that the month does not have becomes its last one
        first = add_months(start.replace(day=1), months)
        last = (add_months(first, 1) - timedelta(days=1)).day
        at = first.replace(
            day=min(config["day_of_month"], last),
            hour=config.get("hour", start.hour),
            minute=config.get("minute", start.minute),
            second=config.get("second", start.second),
        )
        if at > start and at.month == config.get("month", at.month):
            return int(at.timestamp())
    return now


def _trial_end(params: Json, now: int) -> int | None:
    if params.get("trial_end") not in (None, "now"):
        return int(params["trial_end"])
    days = params.get("trial_period_days")
    return now + days * DAY if days else None


def _currency(world: "StandIn", specs: list[Json]) -> str:
    if not specs:
        raise ApiError("Missing required param: items.", code="parameter_missing", param="items")
    return str(items.price_for(world, specs[0])["currency"])


def default_card(world: "StandIn", params: Json, customer: str) -> str | None:
    method = params.get("default_payment_method")
    if not method:
        return None
    found = cards.attached(world, method, customer)
    if found is None:
        raise ApiError(
            f"The customer does not have a payment method with the ID {method}.",
            code="resource_missing",
            param="default_payment_method",
        )
    return str(found["id"])


def draft(world: "StandIn", params: Json, customer: Json) -> Json:
    now = world.now()
    trial = _trial_end(params, now)
    mode = params.get("billing_mode") or {"type": "flexible"}
    fields: Json = {
        "cancel_at_period_end": False,
        "collection_method": "charge_automatically",
        "metadata": {},
        "payment_settings": {},
        "automatic_tax": {"enabled": False},
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
    }
    fields |= given(params, FIELDS)
    if fields["collection_method"] == "send_invoice" and fields.get("days_until_due") is None:
        raise ApiError("With send_invoice, days_until_due is required.", param="days_until_due")
    return shape(
        "subscription",
        id=ids.new_id("subscription"),
        billing_cycle_anchor=trial or _anchor(params, now),
        billing_mode={"type": mode["type"], "updated_at": now},
        cancel_at=params["cancel_at"] if isinstance(params.get("cancel_at"), int) else None,
        cancellation_details={},
        created=now,
        currency=_currency(world, params.get("items", [])),
        customer=customer["id"],
        default_payment_method=default_card(world, params, customer["id"]),
        default_tax_rates=[],
        invoice_settings={"issuer": {"type": "self"}},
        items={},
        livemode=False,
        start_date=params.get("backdate_start_date", now),
        status="trialing" if trial else "active",
        trial_start=now if trial else None,
        trial_end=trial,
        **fields,
    )
