"""Testing a site without Stripe: the stand-in, its transports, and signed events."""

from comp_billing.testing.client import StandInClient
from comp_billing.testing.control import StandInControl
from comp_billing.testing.signing import sign, signed_event, signed_thin_event
from comp_billing.testing.standin.server import Server
from comp_billing.testing.standin.world import StandIn

__all__ = [
    "Server",
    "StandIn",
    "StandInClient",
    "StandInControl",
    "sign",
    "signed_event",
    "signed_thin_event",
]
