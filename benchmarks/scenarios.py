"""The webhooks that are measured: which events, on what is there before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.bodies import catalog
from benchmarks.bodies.events import event
from benchmarks.bodies.ids import PRICES
from benchmarks.bodies.invoices import invoice
from benchmarks.bodies.subscriptions import subscription

# Customers with a subscription and a paid invoice, there before anything is measured.
POOL = 50
# So that every scenario has numbers, and with them ids and times, of its own.
APART = 1_000_000


def primed() -> list[bytes]:
    """Events that make what the scenarios call known."""
    made: list[tuple[str, Any]] = []
    made += [("product.created", catalog.product(number)) for number in range(PRICES)]
    made += [("price.created", catalog.price(number)) for number in range(PRICES)]
    made += [("customer.created", catalog.customer(number)) for number in range(POOL)]
    made += [("customer.subscription.created", subscription(number)) for number in range(POOL)]
    bodies = [event(number, kind, obj) for number, (kind, obj) in enumerate(made)]
    return [*bodies, *(_repeated(number) for number in range(POOL))]


def _repeated(number: int) -> bytes:
    number %= POOL
    return event(1000 + number, "invoice.paid", invoice(number))


def _known_subscription(number: int) -> bytes:
    changed = subscription(number % POOL, metadata={"seen": str(number)})
    before = {"metadata": {"seen": str(number - POOL)}}
    return event(number, "customer.subscription.updated", changed, **before)


def _unknown_subscription(number: int) -> bytes:
    before = {"metadata": {"seen": "0"}}
    return event(number, "customer.subscription.updated", subscription(number), **before)


def _invoice_of_known(number: int) -> bytes:
    return event(number, "invoice.paid", invoice(number, owner=number % POOL))


def _invoice_of_unknown(number: int) -> bytes:
    return event(number, "invoice.paid", invoice(number))


def _nobodys(number: int) -> bytes:
    return event(number, "terminal.reader.action_succeeded", catalog.reader(number))


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """``statements``: the most of ours that an event may need, one for each table of parents that
    are not known included. ``at_least``: how many times as fast as the rival."""

    name: str
    body: Callable[[int], bytes]
    statements: int
    at_least: float
    # The table of the object, and whether its rows' parents are there without placeholders.
    table: str = ""
    of_raw: float | None = None

    def bodies(self, start: int, count: int) -> list[str]:
        """The events numbered from ``start`` on."""
        first = (1 + SCENARIOS.index(self)) * APART + start
        return [self.body(number).decode() for number in range(first, first + count)]


SCENARIOS = [
    Scenario(
        name="subscription.updated, known",
        body=_known_subscription,
        statements=3,
        at_least=20,
        table="comp_billing_subscription",
        of_raw=0.6,
    ),
    Scenario(
        name="subscription.updated, unknown as its customer",
        body=_unknown_subscription,
        statements=4,
        at_least=20,
        of_raw=0.6,
    ),
    Scenario(
        name="invoice.paid, customer known",
        body=_invoice_of_known,
        statements=3,
        at_least=20,
        table="comp_billing_invoice",
        of_raw=0.6,
    ),
    Scenario(
        name="invoice.paid, customer and subscription unknown",
        body=_invoice_of_unknown,
        statements=5,
        at_least=20,
        of_raw=0.6,
    ),
    Scenario(name="duplicate delivery", body=_repeated, statements=1, at_least=10),
    Scenario(name="unknown type", body=_nobodys, statements=3, at_least=10),
]
