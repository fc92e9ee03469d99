"""The webhook endpoint that dj-stripe asks for in its database."""

from __future__ import annotations

from djstripe.models import WebhookEndpoint

from benchmarks.bodies.events import API_VERSION, SECRET
from benchmarks.bodies.ids import EPOCH
from benchmarks.rival import PATH, TEST_KEY, UUID


def make() -> str:
    """Stored as dj-stripe's admin stores it: from Stripe's answer; signatures are verified."""
    endpoint = WebhookEndpoint.sync_from_stripe_data(
        {
            "id": "we_bench000000000000000001",
            "object": "webhook_endpoint",
            "api_version": API_VERSION,
            "application": None,
            "created": EPOCH,
            "description": None,
            "enabled_events": ["*"],
            "livemode": False,
            "metadata": {"djstripe_uuid": UUID},
            "secret": SECRET,
            "status": "enabled",
            "url": f"https://testserver{PATH}",
            "djstripe_uuid": UUID,
        },
        api_key=TEST_KEY,
    )
    return str(endpoint.djstripe_validation_method)
