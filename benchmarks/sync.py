"""Whole lists of Stripe's into an empty database, and once more with nothing new in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks import processes, rivals
from benchmarks.bodies.ids import PRICES
from benchmarks.databases import Databases
from benchmarks.figures import Figure, Sample, Sizes
from benchmarks.processes import Process
from benchmarks.stub import Stub, stub

AT_LEAST = 40
PAGE = 100
KINDS = ("product", "price", "customer", "subscription", "invoice")
# By collection: the rival's model, and the table of ours and of the rival's.
LISTS = {
    "products": ("Product", "comp_billing_product", "djstripe_product"),
    "prices": ("Price", "comp_billing_plan", "djstripe_price"),
    "customers": ("Customer", "comp_billing_customer", "djstripe_customer"),
    "subscriptions": ("Subscription", "comp_billing_subscription", "djstripe_subscription"),
    "invoices": ("Invoice", "comp_billing_invoice", "djstripe_invoice"),
}
# How far the reading of lists has come, which is no proxy.
NOTES = ("comp_billing_sync", "comp_billing_syncpage")


@dataclass
class Side:
    """What one of the two has to do, and what it took."""

    command: str
    args: tuple[str, ...]
    prefix: str
    tables: tuple[str, ...]
    first: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """Customers, subscriptions and invoices, with the catalog that they name."""
    objects = dict.fromkeys(("customers", "subscriptions", "invoices"), sizes.objects)
    objects |= {"products": PRICES, "prices": PRICES}
    names, ours_tables, their_tables = zip(*LISTS.values(), strict=True)
    ours = Side("comp_sync_stripe", KINDS, "comp_billing", ours_tables)
    theirs = Side("djstripe_sync_models", names, "djstripe", their_tables)
    with stub() as stripe:
        stripe.prepare(**objects)
        # The rival's takes minutes.
        for _ in range(max(1, sizes.repeat // 15)):
            copy = databases.copy("sync")
            with processes.ours(copy, stripe.base) as site:
                _read(site, ours, stripe, objects)
            with ExitStack() as stack:
                rival, without = rivals.start(stack, databases, stripe)
                if rival is not None:
                    _read(rival, theirs, stripe, objects)
        paced = _paced(databases, ours, stripe)
    yield from _figures(ours, theirs, objects, without=without, paced=paced)


def _read(site: Process, side: Side, stripe: Stub, objects: dict[str, int]) -> None:
    total = sum(objects.values())
    stripe.calls.clear()
    first = _command(site, side)
    side.calls = dict(stripe.calls)
    rows = site.ask("rows", prefix=side.prefix)
    found = {name: rows[table] for name, table in zip(LISTS, side.tables, strict=True)}
    assert found == objects, (found, objects, first["said"])
    site.ask("watch", tables=[table for table in rows if table not in NOTES])
    again = _command(site, side)
    side.written = site.ask("written")
    side.first.append(total / first["seconds"])
    side.again.append(total / again["seconds"])
    side.cpu.append(first["cpu_seconds"] * 1000 / total)


def _command(site: Process, side: Side) -> Any:
    return site.ask("command", name=side.command, args=list(side.args), options={})


def _paced(databases: Databases, ours: Side, stripe: Stub) -> dict[str, float]:
    """Ours as a site runs it, which spares Stripe's limit of calls in a second."""
    copy = databases.copy("paced")
    with processes.ours(copy, stripe.base, COMP_BENCH_PACE="20") as site:
        return {"seconds, at most 20 calls in each": round(_command(site, ours)["seconds"], 2)}


def _figures(
    ours: Side, theirs: Side, objects: dict[str, int], *, without: str, paced: dict[str, float]
) -> Iterator[Figure]:
    missing = {"rival": without} if without else {}
    for name, what, at_least in (
        ("bulk sync", "first", AT_LEAST),
        ("re-sync of unchanged lists", "again", None),
    ):
        rival = getattr(theirs, what)
        yield Figure(
            name=name,
            unit="objects/s",
            ours=Sample(getattr(ours, what)),
            rival_name=rivals.NAME,
            rival=Sample(rival) if rival else None,
            paired=bool(rival),
            at_least=at_least if rival else None,
            parts={"objects": objects, **(_times(ours, theirs, paced) if at_least else {})}
            | missing,
        )
    # Inactive prices have a list of their own, here an empty one. Whose account it is, is asked for
    # once in a process, however many the objects.
    pages = sum(math.ceil(size / PAGE) for size in objects.values()) + 1
    reading = sum(count for name, count in ours.calls.items() if name != "account")
    yield Figure(
        name="API calls of a bulk sync, to its pages of a hundred",
        unit="calls/page",
        ours=Sample([reading / pages]),
        at_most=1,
        parts={"pages": pages, "ours": ours.calls, "rival": theirs.calls or without},
    )
    yield Figure(
        name="rows written by a re-sync of unchanged lists",
        unit="rows",
        ours=Sample([sum(ours.written.values())]),
        at_most=0,
        parts={"ours": ours.written, "rival": theirs.written or without},
    )


def _times(ours: Side, theirs: Side, paced: dict[str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {"processor's ms for each of ours": Sample(ours.cpu).summary()}
    if theirs.cpu:
        found["processor's ms for each of the rival's"] = Sample(theirs.cpu).summary()
    return {**found, **paced}
