"""Events rendered as an older API version: what moved in 2025-03-31.basil put back.

Source: Stripe's API changelog of 2025-03-31.basil (periods moved to the items; the invoice's
subscription, charge, payment intent and `paid` replaced).
"""

import copy
from typing import Any

Json = dict[str, Any]
BASIL = "2025-03-31"


def render(event: Json, version: str | None) -> Json:
    """The event under another version's name, and in its shape if that is older than basil."""
    if version is None or version == event["api_version"]:
        return event
    result = copy.deepcopy(event)
    result["api_version"] = version
    obj = result["data"]["object"]
    if version < BASIL and obj["object"] in OLDER:
        OLDER[obj["object"]](obj)
    return result


def _subscription(obj: Json) -> None:
    items = obj["items"]["data"]
    obj["current_period_start"] = min((i["current_period_start"] for i in items), default=None)
    obj["current_period_end"] = min((i["current_period_end"] for i in items), default=None)
    for item in items:
        del item["current_period_start"], item["current_period_end"]


def _invoice(obj: Json) -> None:
    details = (obj.pop("parent", None) or {}).get("subscription_details") or {}
    obj["subscription"] = details.get("subscription")
    obj["paid"] = obj["status"] == "paid"
    obj["charge"] = obj["payment_intent"] = None


OLDER = {"subscription": _subscription, "invoice": _invoice}
