"""Disputes: a cardholder asks the bank for the money back."""

from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import ids
from comp_billing.testing.standin.errors import ApiError
from comp_billing.testing.standin.listing import equal_to, page
from comp_billing.testing.standin.request import Request
from comp_billing.testing.standin.shapes import shape

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
DAY = 86400


def raise_one(world: "StandIn", charge_id: str, *, reason: str = "fraudulent") -> Json:
    """A dispute of a charge that succeeded, as its holder's bank makes it: no call of the API does.

    The charge says so from then on, but no event is about the charge itself.
    """
    with world.lock, world.store.transaction():
        charge = world.need("charge", charge_id, param="charge")
        if charge["status"] != "succeeded" or charge["disputed"]:
            raise ApiError("This charge cannot be disputed.", param="charge")
        evidence = {
            "due_by": world.now() + 9 * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        }
        dispute = shape(
            "dispute",
            id=ids.new_id("dispute"),
            amount=charge["amount"],
            charge=charge_id,
            created=world.now(),
            currency=charge["currency"],
            evidence={"enhanced_evidence": {}},
            evidence_details=evidence,
            is_charge_refundable=False,
            livemode=False,
            metadata={},
            payment_intent=charge["payment_intent"],
            reason=reason,
            status="needs_response",
        )
        world.change(charge, disputed=True)
        return world.add(dispute, "charge.dispute.created")


def close(world: "StandIn", asked: Request) -> Json:
    """POST /v1/disputes/{id}/close: the dispute accepted, that is, lost."""
    dispute = world.need("dispute", asked.args[0])
    if dispute["status"] != "needs_response":
        raise ApiError("This dispute is already closed.", code="dispute_already_closed")
    return world.change(dispute, "charge.dispute.closed", status="lost")


def retrieve(world: "StandIn", asked: Request) -> Json:
    """GET /v1/disputes/{id}."""
    return world.need("dispute", asked.args[0])


def list_(world: "StandIn", asked: Request) -> Json:
    """GET /v1/disputes."""
    return page(world, "dispute", asked, equal=equal_to(asked, "charge", "payment_intent"))
