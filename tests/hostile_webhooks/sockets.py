"""The same over sockets, and what can be done wrong on the wire alone."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from comp_billing.testing import sign
from tests.billing.deliveries import ADDRESS, SECRET
from tests.hostile_webhooks.attempts import Attempt, signed
from tests.hostile_webhooks.genuine import genuine_events

MIB = 1 << 20
# The server has hung up before it was told everything, and its answer was lost with that.
CUT_OFF = 0
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Line:
    """The way to a server on this machine."""

    port: int

    def status(self, pieces: Iterable[bytes], *, hang_up: bool = False) -> int:
        """What is answered to some bytes; CUT_OFF when nothing is.

        ``hang_up``: nothing more will follow, which is told before the answer is read.
        """
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS) as wire:
            try:
                for piece in pieces:
                    wire.sendall(piece)
                if hang_up:
                    wire.shutdown(socket.SHUT_WR)
            except OSError:
                # It need not listen to the end.
                pass
            try:
                start = wire.recv(4096)
            except OSError:
                return CUT_OFF
        return int(start.split()[1]) if start.startswith(b"HTTP/") else CUT_OFF

    def get(self, path: str) -> int:
        """A number that is told at a path."""
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS) as wire:
            wire.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            with wire.makefile("rb") as answer:
                return int(answer.read().rpartition(b"\r\n\r\n")[2])


def head(attempt: Attempt, *, more: Iterable[str] = ()) -> bytes:
    """The request line and the headers of an attempt."""
    declared = str(len(attempt.body)) if attempt.length is None else attempt.length
    lines = [
        f"{attempt.method} {attempt.address} HTTP/1.1",
        f"Host: {attempt.host}",
        f"Content-Type: {attempt.content_type}",
        *([f"Content-Length: {declared}"] if declared else []),
        *([] if attempt.signature is None else [f"Stripe-Signature: {attempt.signature}"]),
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def wire_of(attempt: Attempt) -> list[bytes]:
    """A whole request."""
    return [head(attempt), attempt.body]


def _zeros(total: int) -> Iterator[bytes]:
    piece = b"\x00" * 65_536
    for _piece in range(total // len(piece)):
        yield piece


def _chunks(total: int) -> Iterator[bytes]:
    for piece in _zeros(total):
        yield f"{len(piece):x}\r\n".encode() + piece + b"\r\n"
    yield b"0\r\n\r\n"


def oversized() -> Iterator[list[Iterable[bytes]]]:
    """Bodies that are too large, by what they declare and by what they are: parts of requests."""
    body = json.dumps(genuine_events()[0]).encode()
    forged = f"t={int(time.time())},v1={'ab' * 32}"
    for signature in (None, forged, sign(body, SECRET)):
        for length in (str(100 * MIB), "9" * 19, "9" * 4000):
            large = Attempt(body=b"", signature=signature, length=length)
            yield [[head(large)], _zeros(100 * MIB)]
        bare = Attempt(body=b"", signature=signature, length="")
        yield [[head(bare)], _zeros(100 * MIB)]
        yield [[head(bare, more=["Transfer-Encoding: chunked"])], _chunks(100 * MIB)]
        yield [[head(Attempt(body=b"", signature=signature, length=str(MIB + 1)))], _zeros(MIB)]


def ill_mannered() -> Iterator[list[Iterable[bytes]]]:
    """What is no attempt at all: half requests, wrong lines, too many headers. The event within,
    where one is complete, is known already."""
    good = signed(json.dumps(genuine_events()[0]).encode())
    whole = b"".join(wire_of(good))
    for end in (0, 1, 20, len(head(good)), len(whole) - 1):
        yield [[whole[:end]]]
    yield [[head(good, more=["Transfer-Encoding: chunked"]), b"0\r\n\r\n"]]
    yield [[head(good, more=["Content-Length: 1"]), good.body]]
    yield [[head(good, more=["Stripe-Signature: t=1,v1=a"]), good.body]]
    yield [[head(good, more=[f"X-{number}: 1" for number in range(200)]), good.body]]
    yield [[head(good, more=["X-Long: " + "a" * 100_000]), good.body]]
    yield [[head(good, more=["Expect: 100-continue"]), b""]]
    yield [[f"POST {ADDRESS}\x00 HTTP/1.1\r\n\r\n".encode()]]
    yield [[f"POST {ADDRESS}%ff%00%2e%2e/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode()]]
    yield [[f"POST {ADDRESS}?{'a' * 60_000} HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode()]]
    yield [[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\r\n" * 10]]
    yield [[b"\x00" * 1000, b"\r\n\r\n"]]
