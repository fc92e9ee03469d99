"""Webhooks through the real WSGI handler: ours, the rival's, and the bare driver's, in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from benchmarks import processes, rivals
from benchmarks.databases import Copy, Databases
from benchmarks.figures import Figure, Sample, Sizes
from benchmarks.processes import Process
from benchmarks.rival import PATH as RIVAL_PATH
from benchmarks.scenarios import POOL, SCENARIOS, Scenario, primed
from benchmarks.stub import Stub, stub

PATH = "/billing/webhook/"
RAW = "the same statements through the bare driver"
PREFIX = "comp_billing"
COUNTED = 4


@dataclass
class Sides:
    """Who is measured. Of the driver's databases each has had the same events as ours."""

    stripe: Stub
    ours: Process
    recorder: Process
    copies: dict[str, Copy]
    rival: Process | None
    without: str
    used: int = 0
    found: defaultdict[str, list[dict[str, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """For each kind of event its pace and its cost beside the rival's, and beside the driver's."""
    with ExitStack() as stack:
        stripe = stack.enter_context(stub())
        primary = _primed(databases, stripe)
        names = ("ours", "recorded", "driver", "served", "floor", "plain")
        copies = {name: databases.copy(name, of=primary) for name in names}
        rival, without = rivals.start(stack, databases, stripe)
        sides = Sides(
            stripe=stripe,
            ours=stack.enter_context(processes.ours(copies["ours"], stripe.base)),
            recorder=stack.enter_context(processes.ours(copies["recorded"], stripe.base)),
            copies=copies,
            rival=rival,
            without=without,
        )
        if rival is not None:
            rival.ask("deliver", path=RIVAL_PATH, bodies=[body.decode() for body in primed()])
        for scenario in SCENARIOS:
            yield from _measured(scenario, sides, sizes)


def _primed(databases: Databases, stripe: Stub) -> Copy:
    """A database that knows what the scenarios call known."""
    copy = databases.copy("primed")
    with processes.ours(copy, stripe.base) as site:
        site.ask("deliver", path=PATH, bodies=[body.decode() for body in primed()])
    return copy


def _measured(scenario: Scenario, sides: Sides, sizes: Sizes) -> Iterator[Figure]:
    sides.found.clear()
    sides.used = 0
    for number in range(max(2, sizes.repeat // 4) + 1):
        _round(scenario, sides, sizes, events=sizes.events if number else max(POOL, sizes.events))
        if number == 0:
            # Nothing was warm yet: a process of ours has to meet a row once to know it.
            sides.found.clear()
    _check_rows(sides)
    yield _beside_rival(scenario, sides)
    yield _beside_driver(scenario, sides)
    yield Figure(
        name=f"webhook beside a view written by hand: {scenario.name}",
        unit="events/s",
        ours=_ours(sides),
        rival_name="a view that verifies, reads, and sends the same statements by the bare driver",
        rival=_sample(sides, "served"),
        paired=True,
    )
    yield from _counts(scenario, sides)


def _round(scenario: Scenario, sides: Sides, sizes: Sizes, *, events: int) -> None:
    """The same events for everyone; for the slower rival, the first of them."""
    bodies = scenario.bodies(sides.used, events)
    sides.used += events
    sides.stripe.tell(bodies)
    _note(sides, "ours", sides.ours.ask("deliver", path=PATH, bodies=bodies), len(bodies))
    sides.recorder.ask("call", function="benchmarks.raw.record", path=PATH, bodies=bodies)
    _note(sides, "driver", _replay(sides, "driver"), len(bodies))
    _note(sides, "served", _raw(sides, "serve", "served", bodies=bodies), len(bodies))
    if sides.rival is not None:
        some = bodies[: sizes.rival_events]
        _note(sides, "rival", sides.rival.ask("deliver", path=RIVAL_PATH, bodies=some), len(some))
    if connection.vendor == "postgresql":
        _note(sides, "plain", _replay(sides, "plain", plain=True), len(bodies))
    if scenario.table:
        floor = _raw(sides, "floor", "floor", table=scenario.table)
        _note(sides, "floor", floor, len(bodies))


def _note(sides: Sides, side: str, times: dict[str, float], events: int) -> None:
    sides.found[side].append(
        {
            "events/s": events / times["seconds"],
            "cpu ms": times["cpu_seconds"] * 1000 / events,
        }
    )


def _replay(sides: Sides, copy: str, *, plain: bool = False) -> Any:
    return _raw(sides, "replay", copy, plain=plain)


def _raw(sides: Sides, function: str, copy: str, **given: Any) -> Any:
    """What the driver does with a database of its own."""
    name = sides.copies[copy].name
    return sides.recorder.ask("call", function=f"benchmarks.raw.{function}", name=name, **given)


def _check_rows(sides: Sides) -> None:
    """The driver has written what the library writes."""
    ours = sides.ours.ask("rows", prefix=PREFIX)
    replayed = _raw(sides, "rows", "driver")
    assert ours == replayed, (ours, replayed)


def _sample(sides: Sides, side: str, value: str = "events/s") -> Sample | None:
    found = [times[value] for times in sides.found[side]]
    return Sample(found) if found else None


def _ours(sides: Sides) -> Sample:
    sample = _sample(sides, "ours")
    assert sample is not None
    return sample


def _beside_rival(scenario: Scenario, sides: Sides) -> Figure:
    theirs, cpu = _sample(sides, "rival"), _sample(sides, "ours", "cpu ms")
    cpu_theirs = _sample(sides, "rival", "cpu ms")
    parts: dict[str, Any] = {"processor's ms for each of ours": cpu and cpu.summary()}
    if cpu and cpu_theirs:
        parts["processor's ms for each of the rival's"] = cpu_theirs.summary()
        parts["processor's time, theirs to ours"] = round(cpu_theirs.median / cpu.median, 1)
    return Figure(
        name=f"webhook: {scenario.name}",
        unit="events/s",
        ours=_ours(sides),
        rival_name=rivals.NAME,
        rival=theirs,
        paired=theirs is not None,
        at_least=scenario.at_least if theirs else None,
        parts={**parts, **({} if theirs else {"rival": sides.without})},
    )


def _beside_driver(scenario: Scenario, sides: Sides) -> Figure:
    parts: dict[str, Any] = {}
    for side, words in (
        ("plain", "psycopg as it comes: binds on the server, prepares"),
        ("floor", "floor: one guarded upsert in autocommit"),
    ):
        sample = _sample(sides, side)
        if sample is not None:
            parts[words] = sample.summary()
            parts[f"ours to it ({side})"] = round(_ours(sides).median / sample.median, 3)
    return Figure(
        name=f"webhook beside the driver: {scenario.name}",
        unit="events/s",
        ours=_ours(sides),
        rival_name=RAW,
        rival=_sample(sides, "driver"),
        paired=True,
        at_least=scenario.of_raw,
        parts=parts,
    )


def _counts(scenario: Scenario, sides: Sides) -> Iterator[Figure]:
    """Of a few more events, the dearest of each side."""
    bodies = scenario.bodies(sides.used, COUNTED)
    sides.stripe.tell(bodies)
    ours = _dearest(sides, sides.ours, PATH, bodies)
    theirs = sides.rival and _dearest(sides, sides.rival, RIVAL_PATH, bodies)
    # So that the driver's database stays like ours.
    sides.recorder.ask("call", function="benchmarks.raw.record", path=PATH, bodies=bodies)
    _replay(sides, "driver")
    for what, at_most in (("statements", scenario.statements), ("commits", 1), ("API calls", 0)):
        parts = {"sent": ours["sent"]} if what == "statements" else {}
        yield Figure(
            name=f"{what} of a webhook: {scenario.name}",
            unit=what,
            ours=Sample([ours[what]]),
            at_most=at_most,
            parts={
                **parts,
                "savepoints": ours["savepoints"],
                "rival": (theirs and {key: theirs[key] for key in (what, "savepoints")})
                or sides.without,
            },
        )


def _dearest(sides: Sides, site: Process, path: str, bodies: list[str]) -> dict[str, Any]:
    found = []
    for body in bodies:
        sides.stripe.calls.clear()
        counted = site.ask("count", path=path, bodies=[body])
        found.append({**counted, "API calls": sides.stripe.calls.total()})
    return max(found, key=lambda counted: (counted["statements"], counted["API calls"]))
