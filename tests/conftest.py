"""What holds for every test: nothing leaves this machine, and settings are as given."""

from __future__ import annotations

import socket

import pytest

LOOPBACK = ("127.", "::1", "localhost")


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
