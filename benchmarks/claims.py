"""Claim and submit with a long queue and with a short one, in turn on two databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.test import override_settings

from benchmarks.databases import Copy, Databases
from benchmarks.figures import Figure, Sample, Sizes, milliseconds, summaries
from comp_core import lifecycle
from comp_core.projects import project_for
from comp_core.registry import get_spec
from tests.core.builders import make_inputs
from tests.core.scale import explain, fill_queue, many_profiles, sent

AT_MOST = 1.5
FEW = 100
WARM_UP = 5
CLAIMS_FOR_EACH = 10
# As many as a site lets one profile have waiting, unless it says otherwise.
OWN_WAITING = 10_000


def measure(databases: Databases, sizes: Sizes) -> Iterator[Figure]:
    """Two distributions of owners: one who has nearly all that waits, and a thousand."""
    for owners in (1, min(1000, sizes.rows)):
        rows = FEW + sizes.repeat * CLAIMS_FOR_EACH // 2 + WARM_UP
        short = _queue(databases, owners=min(owners, FEW), rows=rows)
        long = _queue(databases, owners=owners, rows=sizes.rows)
        label = "one owner" if owners == 1 else "many owners"
        yield _claims(short, long, sizes, label)
        yield _submits(short, long, sizes, label)
    yield _own_waiting(databases, sizes)


def _queue(databases: Databases, *, owners: int, rows: int) -> Copy:
    copy = databases.copy("queue")
    fill_queue(project_for(get_spec("doubling")), many_profiles(owners), rows=rows)
    return copy


def _alternate(
    copies: list[Copy], times: int, prepare: Callable[[], Callable[[], Any]]
) -> list[list[float]]:
    """Milliseconds of what ``prepare`` answers, in turn on each of the databases."""
    found: list[list[float]] = [[] for _ in copies]
    for number in range(times + WARM_UP):
        for copy, values in zip(copies, found, strict=True):
            copy.use()
            took = milliseconds(prepare())
            if number >= WARM_UP:
                values.append(took)
    return found


def _claim() -> Any:
    run = lifecycle.claim("default", worker_id="benchmark")
    assert run is not None
    return run


def _claims(short: Copy, long: Copy, sizes: Sizes, label: str) -> Figure:
    times = sizes.repeat * CLAIMS_FOR_EACH // 2
    few, many = _alternate([short, long], times, lambda: _claim)
    long.use()
    with sent() as statements:
        _claim()
    plan = explain(statements[0])
    return Figure(
        name=f"claim, {label}",
        unit="ms",
        ours=Sample(many),
        rival_name=f"ours with {FEW} queued",
        rival=Sample(few),
        at_most=AT_MOST,
        parts={
            "queued": sizes.rows,
            "reads the head of its index": "comp_core_run_claim" in plan.text,
            "sorts": plan.sorts,
            "plan": plan.text.splitlines(),
        },
    )


def _newcomer() -> Callable[[], Any]:
    inputs = make_inputs()
    return lambda: lifecycle.submit(inputs)


def _submits(short: Copy, long: Copy, sizes: Sizes, label: str) -> Figure:
    few, many = _alternate([short, long], sizes.repeat, _newcomer)
    return Figure(
        name=f"submit, {label}",
        unit="ms",
        ours=Sample(many),
        rival_name=f"ours with {FEW} queued",
        rival=Sample(few),
        at_most=AT_MOST,
        parts={"queued": sizes.rows, "submitted by": "newcomers"},
    )


def _own_waiting(databases: Databases, sizes: Sizes) -> Figure:
    """Submit counts the owner's own waiting runs: the one part of it that grows, with them."""
    copy = databases.copy("own")
    rows = min(OWN_WAITING, sizes.rows)
    project, (owner, *others) = project_for(get_spec("doubling")), many_profiles(11)
    fill_queue(project, [owner], rows=rows)
    fill_queue(project, others, rows=sizes.rows - rows)

    def own() -> Callable[[], Any]:
        inputs = make_inputs(owner=owner)
        return lambda: lifecycle.submit(inputs)

    with override_settings(COMP_CORE={"MAX_QUEUED_RUNS_PER_PROFILE": None}):
        (theirs,) = _alternate([copy], sizes.repeat, own)
        (newcomers,) = _alternate([copy], sizes.repeat, _newcomer)
    return Figure(
        name="submit, own waiting",
        unit="ms",
        ours=Sample(theirs),
        rival_name="ours by a newcomer",
        rival=Sample(newcomers),
        parts={"own runs waiting": rows, **summaries({"newcomer": newcomers})},
    )
