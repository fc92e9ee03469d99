"""Requests to the webhooks: forged, malformed, oversized, out of date, and rightly signed."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from comp_billing.testing import sign
from tests.billing.deliveries import ADDRESS, SECRET, THIN_ADDRESS, THIN_SECRET
from tests.hostile_webhooks.genuine import genuine_events, paths, replaced
from tests.hostile_webhooks.values import HOSTILE, no_events

SECRETS = {ADDRESS: SECRET, THIN_ADDRESS: THIN_SECRET}
METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "post")
TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain; charset=utf-16",
    "application/json; charset=nonsense",
    "\xe9\xff",
    "",
)
HOSTS = (
    "evil.example",
    "testserver:0",
    "testserver:99999",
    "..",
    "a b",
    "\xe9",
    "[::1",
    "@testserver",
)
LENGTHS = ("0", "1", "-1", "", "nonsense", "1e3", "0x10", "\xb2", "9" * 30, "9" * 5000, "104857600")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One request. Text is as it is in a WSGI environment, a character for each byte."""

    body: bytes
    #: None: no such header.
    signature: str | None
    #: Whether Stripe might have sent it; then it may be stored.
    is_stripes: bool = False
    method: str = "POST"
    address: str = ADDRESS
    content_type: str = "application/json"
    host: str = "testserver"
    #: What the request says about its length; None: the truth.
    length: str | None = None


def signed(body: bytes, *, address: str = ADDRESS) -> Attempt:
    """Rightly signed, just now."""
    signature = sign(body, SECRETS[address])
    return Attempt(body=body, signature=signature, address=address, is_stripes=True)


def forged_signatures(body: bytes, *, address: str = ADDRESS) -> list[str | None]:
    """Headers that are not Stripe's for this body and address, whatever they look like."""
    now, secret = int(time.time()), SECRETS[address]
    other = SECRETS[THIN_ADDRESS if address == ADDRESS else ADDRESS]
    good = sign(body, secret, timestamp=now)
    digest = good.partition("v1=")[2]
    return [
        None,
        "",
        ",",
        "=",
        "t=,v1=",
        f"t={now}",
        f"v1={digest}",
        f"t={now},v1={'ab' * 32}",
        f"t={now},v1={digest[:-1]}",
        f"t={now},v0={digest}",
        f"t={now + 1},v1={digest}",
        f"t={now}.5,v1={digest}",
        f"t={now},t={now},v1={digest}",
        f"t=-{now},v1={digest}",
        f"t={'9' * 4000},v1={digest}",
        f"t=\xb2\xb2,v1={digest}",
        f"t=\u0661,v1={digest}".encode().decode("latin-1"),
        f"t={now},v1=\xe9\xff\x00",
        good + "," + ",".join(["v1=" + "cd" * 32] * 100),
        good + ",v0=" + "a" * 60_000,
        "t=" * 2000,
        "v1=\x00" * 500,
        good.replace("v1=", "v1= "),
        sign(body, ""),
        sign(body, "whsec_other"),
        sign(body, other),
        sign(body + b" ", secret),
        sign(body, secret, timestamp=now - 361),
        sign(body, secret, timestamp=now + 361),
        sign(body, secret, timestamp=0),
        sign(body, secret, timestamp=10**11),
    ]


def catalogue() -> Iterator[Attempt]:
    """Every kind of attempt at least once; everything that can be enumerated."""
    good = json.dumps(genuine_events()[0]).encode()
    for body in no_events(genuine_events()[0]):
        yield Attempt(body=body, signature=f"t={int(time.time())},v1={'ab' * 32}")
        yield signed(body)
        yield signed(body, address=THIN_ADDRESS)
    for signature in forged_signatures(good):
        yield Attempt(body=good, signature=signature)
        yield Attempt(body=good, signature=signature, length=str(1 << 40))
    for address in SECRETS:
        yield from (
            Attempt(body=good, signature="t=1,v1=a", method=m, address=address) for m in METHODS
        )
    yield from (Attempt(body=good, signature=None, content_type=kind) for kind in TYPES)
    yield from (Attempt(body=good, signature=None, host=host) for host in HOSTS)
    yield from (Attempt(body=good, signature=sign(good, SECRET), length=long) for long in LENGTHS)
    yield from misshapen()


def misshapen() -> Iterator[Attempt]:
    """Rightly signed, with wrong values: each one in each field of an event, and the next one in
    line in every place of every kind's event."""
    number = 0
    for field in (*genuine_events()[0], "account", "context", "related_object"):
        for value in HOSTILE:
            number += 1
            yield _mutant({**genuine_events()[number % 7], field: value}, number)
    for event in genuine_events():
        for way in paths(event):
            number += 1
            yield _mutant(replaced(event, way, HOSTILE[number % len(HOSTILE)]), number)


def at_random(random: Random) -> Iterator[Attempt]:
    """Without end: the above put together at random, most of it forged."""
    bodies = list(no_events(genuine_events()[0]))
    for number in itertools.count():
        event = random.choice(genuine_events())
        for _change in range(random.randint(1, 4)):
            event = replaced(event, random.choice(paths(event)), random.choice(HOSTILE))
        if random.random() < 0.3:
            yield _mutant(event, f"random_{number}")
        else:
            body = random.choice(bodies) if random.random() < 0.1 else _body(event)
            yield _forgery(random, body)


def _forgery(random: Random, body: bytes) -> Attempt:
    address = random.choice(list(SECRETS))
    return Attempt(
        body=body,
        signature=random.choice(forged_signatures(body, address=address)),
        method=random.choice(METHODS) if random.random() < 0.1 else "POST",
        address=address,
        content_type=random.choice(TYPES),
        host=random.choice(HOSTS) if random.random() < 0.1 else "testserver",
        length=random.choice(LENGTHS) if random.random() < 0.2 else None,
    )


def _mutant(event: dict[str, Any], number: object) -> Attempt:
    """Signed for its address; the id is the attempt's own unless it is what was changed."""
    has_id = event.get("id") in [known["id"] for known in genuine_events()]
    event = {**event, "id": f"evt_{number}"} if has_id else event
    address = THIN_ADDRESS if event.get("object") == "v2.core.event" else ADDRESS
    return signed(_body(event), address=address)


def _body(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()
