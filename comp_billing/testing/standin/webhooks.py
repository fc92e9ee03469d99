"""Signing and delivery of events: at least once, in any order, again until a 2xx."""

import hashlib
import hmac
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from comp_billing.testing.standin import endpoints
from comp_billing.testing.standin.versions import render

if TYPE_CHECKING:
    from comp_billing.testing.standin.world import StandIn

Json = dict[str, Any]
Handler = Callable[[bytes, dict[str, str]], int | None]
RETRY_SECONDS = (1.0, 5.0, 30.0, 120.0, 600.0)
TIMEOUT_SECONDS = 20


def sign(body: bytes | str, secret: str, *, timestamp: int | None = None) -> str:
    """The `Stripe-Signature` header of a body: `t=<seconds>,v1=<HMAC-SHA256 in hex>`.

    The timestamp is the wall clock's unless given: receivers compare it with theirs, whatever
    the account's own clock says.
    """
    stamp = int(time.time()) if timestamp is None else timestamp
    raw = body.encode() if isinstance(body, str) else body
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256)
    return f"t={stamp},v1={mac.hexdigest()}"


@dataclass
class Manner:
    """How deliveries misbehave until told otherwise."""

    # each event is sent so many times
    copies: int = 1
    # in random order instead of the order of the events
    shuffle: bool = False
    # so many seconds after the event
    late_seconds: float = 0
    # in the shape and under the name of this API version, whatever the endpoint asked for
    api_version: str | None = None


class Deliveries:
    """The queue of deliveries, worked through by a thread or on demand."""

    def __init__(self, world: "StandIn") -> None:
        self._world = world
        self.manner = Manner()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._working = threading.Lock()

    # -- the queue

    def queue(self, event: Json) -> int:
        """An event addressed to every endpoint that wants it; to how many."""
        kind = _endpoint_kind(event)
        count = 0
        for endpoint in self._world.store.where(kind, status="enabled"):
            if endpoints.matches(endpoint["enabled_events"], event["type"]):
                count += 1
                for _ in range(self.manner.copies):
                    self._add(event["id"], kind, endpoint["id"])
        return count

    def _add(self, event: str, kind: str, endpoint: str) -> None:
        sql = "INSERT INTO delivery (event, kind, endpoint, due) VALUES (?, ?, ?, ?)"
        self._world.store.run(sql, event, kind, endpoint, time.time() + self.manner.late_seconds)

    def pending(self) -> int:
        """Deliveries not yet answered with 2xx nor given up."""
        sql = "SELECT count(*) AS n FROM delivery WHERE state = 'pending'"
        with self._world.lock:
            return int(self._world.store.rows(sql)[0]["n"])

    def succeeded(self, event: str) -> bool:
        """Whether every delivery of an event was answered with 2xx."""
        sql = "SELECT 1 FROM delivery WHERE event = ? AND state != 'delivered'"
        return not self._world.store.rows(sql, event)

    # -- the work

    def start(self) -> None:
        """Deliveries sent over HTTP by a background thread from now on."""
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="standin-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The thread ended; what is pending stays in the queue."""
        self._stopping = True
        self._wake.set()
        if self._thread:
            self._thread.join(timeout=TIMEOUT_SECONDS)
            self._thread = None

    def wake(self) -> None:
        """The thread told that there may be something to send."""
        self._wake.set()

    def _loop(self) -> None:
        while not self._stopping:
            self._wake.clear()
            if self.flush() == 0:
                self._wake.wait(timeout=0.5)

    def flush(
        self, handler: Handler | None = None, *, everything: bool = False, to: str | None = None
    ) -> int:
        """What is due sent, to `handler` instead of over HTTP if given; how many succeeded.

        `everything` sends what waits for a retry or is late, too; `to` chooses an address. What
        fails is tried again later.
        """
        delivered = 0
        with self._working:
            for row in self._due(everything=everything):
                if to is not None and self._address(row) != to:
                    continue
                if not self._stopping or handler:
                    delivered += self._deliver(row, handler)
        return delivered

    def _due(self, *, everything: bool) -> list[Json]:
        sql = "SELECT * FROM delivery WHERE state = 'pending' AND due <= ? ORDER BY seq"
        with self._world.lock:
            limit = float("inf") if everything else time.time()
            rows = [dict(row) for row in self._world.store.rows(sql, limit)]
        if self.manner.shuffle:
            random.shuffle(rows)
        return rows

    def _address(self, row: Json) -> str | None:
        with self._world.lock:
            endpoint = self._world.store.get(row["kind"], row["endpoint"])
        return endpoints.address(endpoint) if endpoint else None

    def _deliver(self, row: Json, handler: Handler | None) -> int:
        with self._world.lock:
            message = self._message(row)
        if message is None:
            self._settle(row, "the endpoint or the event is gone", gone=True)
            return 0
        url, body, headers = message
        try:
            status = handler(body, headers) if handler else _post(url, body, headers)
            error = "" if status is None or 200 <= status < 300 else f"HTTP {status}"
        except OSError as problem:
            error = f"{type(problem).__name__}: {problem}"
        self._settle(row, error)
        return 0 if error else 1

    def _message(self, row: Json) -> tuple[str, bytes, dict[str, str]] | None:
        store = self._world.store
        endpoint = store.get(row["kind"], row["endpoint"])
        thin = row["kind"] == "v2.core.event_destination"
        event = store.get("v2.core.event" if thin else "event", row["event"])
        if endpoint is None or event is None:
            return None
        url = endpoints.address(endpoint)
        if thin:
            content = {name: value for name, value in event.items() if name != "data"}
        else:
            content = render(event, self.manner.api_version or endpoint["api_version"])
        body = json.dumps(content, indent=2).encode()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": sign(body, endpoint["_secret"]),
        }
        return url, body, headers

    def _settle(self, row: Json, error: str, *, gone: bool = False) -> None:
        attempts = row["attempts"] + 1
        state, due = "delivered", row["due"]
        if error:
            given_up = gone or attempts > len(RETRY_SECONDS)
            state = "failed" if given_up else "pending"
            due = time.time() + RETRY_SECONDS[min(attempts, len(RETRY_SECONDS)) - 1]
        sql = "UPDATE delivery SET attempts = ?, state = ?, due = ?, error = ? WHERE seq = ?"
        with self._world.lock, self._world.store.transaction():
            self._world.store.run(sql, attempts, state, due, error, row["seq"])
            if not error and row["kind"] == "webhook_endpoint":
                self._count_down(row["event"])

    def _count_down(self, event_id: str) -> None:
        event = self._world.store.get("event", event_id)
        if event:
            left = max(0, event["pending_webhooks"] - 1)
            self._world.store.put({**event, "pending_webhooks": left})


def _endpoint_kind(event: Json) -> str:
    thin = event["object"] == "v2.core.event"
    return "v2.core.event_destination" if thin else "webhook_endpoint"


def _post(url: str, body: bytes, headers: dict[str, str]) -> int:
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310  http(s) only, checked when the endpoint was made
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as problem:
        problem.close()
        return int(problem.code)
