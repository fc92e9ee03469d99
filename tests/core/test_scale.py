"""A long queue: what the verbs and the loops read must not grow with it.

SQLite is not told to ANALYZE, because a site's never is; PostgreSQL does so by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from comp_core import lifecycle
from comp_core.models import Run
from comp_core.projects import project_for
from comp_core.registry import get_spec
from comp_core.status import RunStatus
from comp_core.tickets import mend_tickets
from comp_users.models import Project
from tests.core.builders import SUCCESS, expire, make_claimed, make_inputs
from tests.core.scale import Plan, explain, fill_queue, many_profiles, sent

pytestmark = pytest.mark.django_db

# A queue of that many is no database file's.
LARGE = 20_000 if connection.vendor == "sqlite" else 100_000

sizes = pytest.mark.parametrize(
    ("rows", "owners"),
    [
        (3_000, 1),
        (3_000, 300),
        pytest.param(LARGE, 1_000, marks=pytest.mark.slow),
    ],
)


def project() -> Project:
    return project_for(get_spec("doubling"))


def plans(action: Callable[[], Any]) -> list[Plan]:
    """How the database carries out each of an action's statements on runs."""
    with sent() as statements:
        action()
    return [explain(found) for found in statements if "comp_core_run" in found[0]]


def slow_plans(verbs: dict[str, Callable[[], Any]]) -> dict[str, list[str]]:
    """The statements of each verb that read all runs, or all of an index of them."""
    found = {name: [p.text for p in plans(verb) if p.scans_runs] for name, verb in verbs.items()}
    return {name: texts for name, texts in found.items() if texts}


@sizes
def test_the_claim_reads_the_head_of_its_index(rows: int, owners: int) -> None:
    """The fairest run is the first of an index: nothing is sorted, nothing is read through."""
    fill_queue(project(), many_profiles(owners), rows=rows)
    head, update = plans(lambda: lifecycle.claim("default", worker_id="w"))
    found = ("comp_core_run_claim" in head.text, head.sorts, head.scans_runs, update.scans_runs)
    assert found == (True, False, False, False)


@sizes
def test_no_verb_reads_the_whole_queue(rows: int, owners: int) -> None:
    """Invariant of scale: a newcomer's submit, and each move of a run, are index accesses."""
    run, inputs = make_claimed(), make_inputs()
    waiting, *_ = fill_queue(project(), many_profiles(owners), rows=rows)
    verbs: dict[str, Callable[[], Any]] = {
        "submit": lambda: lifecycle.submit(inputs),
        "heartbeat": lambda: lifecycle.heartbeat(run.pk, run.lease_token),
        "finish": lambda: lifecycle.finish(run.pk, run.lease_token, SUCCESS),
        "cancel": lambda: lifecycle.cancel(waiting),
    }
    assert slow_plans(verbs) == {}


@sizes
def test_no_round_of_a_loop_reads_the_whole_queue(
    rows: int, owners: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every worker asks every few seconds what the clock has done: mostly, nothing."""
    silent = make_claimed()
    fill_queue(project(), many_profiles(owners), rows=rows)
    expire(silent)
    monkeypatch.setattr("comp_core.tickets.MEND_BATCH", 10)
    verbs = {
        "reap": lifecycle.reap,
        "abort_overdue": lifecycle.abort_overdue,
        "admit_held": lifecycle.admit_held,
        "mend_tickets": mend_tickets,
    }
    assert slow_plans(verbs) == {}


@sizes
def test_admission_does_not_read_all_that_is_held(rows: int, owners: int, settings: Any) -> None:
    """Whose runs are held is found by one access for each owner, not by reading them all."""
    settings.COMP_CORE = {"MAX_RUNNING_RUNS_PER_PROFILE": 2}
    fill_queue(project(), many_profiles(owners)[:3], rows=rows, held=True)
    assert slow_plans({"admit_held": lifecycle.admit_held}) == {}


def test_the_rule_sees_a_scan() -> None:
    """The tests above are not empty: a question that no index answers is found out."""
    fill_queue(project(), many_profiles(1), rows=100)
    asked = Run.objects.filter(status=RunStatus.QUEUED, title="nothing").order_by("title")
    assert list(slow_plans({"by title": lambda: list(asked)})) == ["by title"]
