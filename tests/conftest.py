"""What holds for every test: nothing leaves this machine, and settings are as given."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from django.test import TransactionTestCase

from tests.emptying import empty_after

# Where the proofs stand that hold whatever the Python and the Django: tox runs them with the oldest
# and the newest of both, and the cells between them do without. What billing does is SQL and HTTP;
# what Django itself may change under it is its models, its pages and its admin.
ONCE = (
    "tests/billing/",
    "tests/billing_faults/",
    "tests/core/test_celery",
    "tests/core/test_scale",
    "tests/core/test_worker",
    "tests/faults/",
    "tests/mirror/",
)
EVERYWHERE = (
    "tests/billing/test_admin",
    "tests/billing/test_checks",
    "tests/billing/test_events.py",
    "tests/billing/test_mirror.py",
    "tests/billing/test_models",
    "tests/billing/test_pages",
)
LOOPBACK = ("127.", "::1", "localhost")


DATABASES = {"db", "transactional_db", "live_server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those proofs, wherever a file of them is added; and what touches no database, which is
    the same whichever there is."""
    for item in items:
        asked = getattr(item, "fixturenames", ())
        if item.get_closest_marker("django_db") is None and DATABASES.isdisjoint(asked):
            item.add_marker(pytest.mark.plain)
        if item.nodeid.startswith(ONCE) and not item.nodeid.startswith(EVERYWHERE):
            item.add_marker(pytest.mark.once)


@pytest.fixture(autouse=True, scope="session")
def _emptied_quickly() -> Iterator[None]:
    """Tests that commit leave an empty database behind, as they do in Django."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_after)
        yield


@pytest.fixture(autouse=True)
def _nothing_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anything but the loopback fails the test instead of reaching out."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = str(address[0]) if isinstance(address, tuple) else str(address)
            assert host.startswith(LOOPBACK), f"the test tried to reach {host}"
        connect(self, address)  # type: ignore[arg-type]  # as socket itself takes it

    monkeypatch.setattr(socket.socket, "connect", guarded)
