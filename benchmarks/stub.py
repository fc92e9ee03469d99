"""Stripe's API on loopback: answers at once, and counts what it is asked.

It answers calls for single objects and for lists, of whatever number the id has. Its bodies are
made beforehand, so that nobody waits for them.
"""

from __future__ import annotations

import json
import socketserver
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import cache
from urllib.parse import parse_qs, urlsplit

from benchmarks.bodies.catalog import account
from benchmarks.bodies.events import COLLECTIONS, pretty
from benchmarks.bodies.ids import number_of

# What Stripe gives when a list is asked for without a limit.
DEFAULT_LIMIT = 10


@cache
def _object(collection: str, number: int) -> bytes:
    return pretty(COLLECTIONS[collection][1](number))


class Stub(socketserver.ThreadingTCPServer):
    """``sizes``: how many objects each list has; lists that it does not name are empty."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.sizes: dict[str, int] = {}
        # Objects that are not what their number says, by id.
        self.told: dict[str, bytes] = {}
        self.calls: Counter[str] = Counter()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def prepare(self, **sizes: int) -> None:
        """Make lists of so many objects."""
        self.sizes = sizes
        for collection, size in sizes.items():
            for number in range(size):
                _object(collection, number)

    def tell(self, bodies: Iterable[str]) -> None:
        """Events have happened: the objects are as these say."""
        for body in bodies:
            obj = json.loads(body)["data"]["object"]
            self.told[obj["id"]] = pretty(obj)

    def answer(self, target: str) -> tuple[int, bytes]:
        """Status and body of a GET."""
        url = urlsplit(target)
        parts = url.path.strip("/").split("/")[1:]
        collection = parts[0]
        if url.path == "/v1/account" or (collection == "accounts" and len(parts) == 2):
            self.calls["account"] += 1
            return 200, pretty(account())
        if collection in COLLECTIONS and len(parts) == 2:
            self.calls[f"retrieve {collection}"] += 1
            return 200, self.told.get(parts[1]) or _object(collection, number_of(parts[1]))
        name = " of ".join(reversed([part for part in parts if "bench" not in part]))
        self.calls[f"list {name}"] += 1
        return 200, self._page(url.path, "/".join(parts), parse_qs(url.query))

    def _page(self, path: str, collection: str, asked: dict[str, list[str]]) -> bytes:
        """Newest first, that is, from the highest number down."""
        size, limit = self.sizes.get(collection, 0), int(asked.get("limit", [DEFAULT_LIMIT])[0])
        after = asked.get("starting_after")
        first = number_of(after[0]) - 1 if after else size - 1
        last = max(-1, first - limit)
        data = b",\n".join(_object(collection, number) for number in range(first, last, -1))
        more = b"true" if last >= 0 else b"false"
        head = b'{\n  "object": "list",\n  "url": "' + path.encode() + b'",\n  "has_more": '
        return head + more + b',\n  "data": [\n' + data + b"\n]\n}"


class _Conversation(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Stub

    def handle(self) -> None:
        """Requests on one connection, until the other side closes it."""
        while line := self.rfile.readline():
            while self.rfile.readline().strip():
                pass
            status, body = self.server.answer(line.decode().split(" ")[1])
            head = (
                f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nDate: {formatdate(usegmt=True)}\r\n"
                "Request-Id: req_bench\r\n\r\n"
            )
            self.wfile.write(head.encode() + body)


@contextmanager
def stub() -> Iterator[Stub]:
    """A server that runs until the block ends."""
    with Stub() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
