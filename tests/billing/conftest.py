"""Fixtures of the billing tests: the stand-in for Stripe, through both of its transports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import timezone
from freezegun import freeze_time

from comp_billing.testing import Server, StandIn
from comp_billing.testing.plugin import signed_event, signed_thin_event, stripe_standin
from tests.billing.builders import site
from tests.billing.deliveries import handle
from tests.billing.standin_rig import Account, in_process, over_http
from tests.billing.told import ada

__all__ = [
    "account",
    "ada",
    "handle",
    "http_account",
    "shop_account",
    "signed_event",
    "signed_thin_event",
    "site",
    "stripe_standin",
]


@pytest.fixture(autouse=True)
def only_fit_requests(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever the library sends in any test is what the SDK's own types allow; only the tests of
    the stand-in itself send other things."""
    yield
    standin = request.node.funcargs.get("stripe_standin")
    if standin is not None and not request.node.path.name.startswith("test_standin"):
        assert standin.unfit == []


@pytest.fixture(params=["in process", "http"])
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """An empty account, reached through the SDK by both transports in turn."""
    if request.param == "in process":
        standin = StandIn()
        yield in_process(standin)
        standin.close()
    else:
        server = Server(StandIn()).start()
        yield over_http(server)
        server.stop()


@pytest.fixture
def shop_account(stripe_standin: StandIn) -> Account:
    """An empty account in process."""
    return in_process(stripe_standin)


@pytest.fixture
def http_account() -> Iterator[Account]:
    """An empty account behind a server."""
    server = Server(StandIn()).start()
    yield over_http(server)
    server.stop()


@pytest.fixture
def stopped_clock(site: object) -> Iterator[None]:
    """Time stands still, for tests that compare moments; the stand-in's clock can be advanced."""
    with freeze_time(timezone.now()):
        yield
