"""The pytest plugin: a fresh stand-in for each test, and signed events of both kinds."""

from collections.abc import Iterator

import pytest

from comp_billing.testing.signing import signed_event as make_signed_event
from comp_billing.testing.signing import signed_thin_event as make_signed_thin_event
from comp_billing.testing.standin.world import StandIn


@pytest.fixture
def stripe_standin() -> Iterator[StandIn]:
    """An empty account in process; `.calls` counts the calls made to it."""
    standin = StandIn()
    yield standin
    standin.close()


signed_event = pytest.fixture(name="signed_event")(lambda: make_signed_event)
signed_thin_event = pytest.fixture(name="signed_thin_event")(lambda: make_signed_thin_event)
