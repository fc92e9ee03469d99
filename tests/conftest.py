"""What holds for every test: nothing leaves this machine, and settings are as given."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from django.test import TransactionTestCase

from tests.emptying import empty_after

# Where the proofs stand that hold whatever the Python and the Django: tox runs them with the oldest
# and the newest of both, and the cells between them do without.
ONCE = (
    "tests/faults/",
    "tests/mirror/",
    "tests/billing/test_api_versions",
    "tests/billing/test_doctor",
    "tests/billing/test_event",
    "tests/billing/test_gaps",
    "tests/billing/test_hostile",
    "tests/billing/test_mirror",
    "tests/billing/test_process_events",
    "tests/billing/test_standin",
    "tests/billing/test_sync",
)
LOOPBACK = ("127.", "::1", "localhost")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark those proofs, wherever a file of them is added."""
    for item in items:
        if item.nodeid.startswith(ONCE):
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
