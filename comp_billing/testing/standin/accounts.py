"""The account itself, as far as its key may see it."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin.request import Request

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn


def retrieve(world: "StandIn", asked: Request) -> dict[str, Any]:
    """GET /v1/account: the key's own account; what its owner told Stripe is left out."""
    country = world.settings["country"]
    return {"id": world.settings["account"], "object": "account", "country": country}
