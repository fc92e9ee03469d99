"""The judge: what an execution has committed, held against what must hold. It shares no table and
no rule with the engine."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.files.storage import default_storage

from comp_billing.models import Reservation, UsageRecord
from comp_core.models import Attempt, Run
from tests.faults import world
from tests.faults.actors import Wish
from tests.faults.audit import Entry
from tests.testapp.models import DoublingRun

LOST, DOUBLE, WRONG, STUCK = "lost", "double", "wrong", "stuck"
KINDS = (LOST, DOUBLE, WRONG, STUCK)

ENDS = {"succeeded", "failed", "cancelled", "timed_out", "aborted", "lost"}
MOVES = {
    "queued": {"running", "cancelled", "aborted"},
    "running": {"succeeded", "failed", "cancelled", "timed_out", "lost", "queued"},
}
# Ends that only the attempt itself can tell.
TOLD = {"succeeded", "failed", "timed_out"}
OUTCOME = ("status", "run_time", "run_cost", "upstream_version", "finished_at")

Finding = tuple[str, str]


@dataclass
class Evidence:
    """All that is known of an execution after its drain."""

    wishes: list[Wish]
    # The role of each writer in the journal; who is not in it may do anything (the drain).
    roles: dict[str, str]
    journal: list[Entry]
    limits: dict[int, int | None]
    # Points at which a ticket was sent from within a transaction.
    early_tickets: int
    # Whether the drain came to an end, and whether it could remove what it meant to.
    idle: bool
    swept: bool

    def __post_init__(self) -> None:
        self.runs = list(Run.objects.select_related("project"))
        self.files = world.stored_files()
        self.by_run: dict[uuid.UUID, list[Entry]] = defaultdict(list)
        for entry in self.journal:
            if entry.source == "run":
                self.by_run[entry.run].append(entry)


def judge(evidence: Evidence) -> list[Finding]:
    """Everything that is not as it must be; a run may be found more than once."""
    found = [*books(evidence), *_wishes(evidence), *_limits(evidence), *_files(evidence)]
    for run in evidence.runs:
        found += _outcome(run, evidence.by_run[run.pk])
    if evidence.early_tickets:
        found.append((WRONG, f"{evidence.early_tickets} tickets left before their commit"))
    return found


def books(evidence: Evidence) -> list[Finding]:
    """What must hold whatever the models and whoever the actors."""
    found = [*_money(evidence), *_stuck(evidence)]
    for run in evidence.runs:
        entries = evidence.by_run[run.pk]
        found += [*_moves(entries), *_leases(entries), *_interruptions(run, entries)]
        for entry in entries:
            found += _writer(evidence.roles, entries, entry)
    return found


def _wishes(evidence: Evidence) -> Iterator[Finding]:
    known = {run.pk for run in evidence.runs}
    for wish in evidence.wishes:
        made = set(DoublingRun.objects.filter(inputs=wish.inputs).values_list("pk", flat=True))
        if len(made | wish.told) > 1:
            yield DOUBLE, f"one wish was answered with {len(made | wish.told)} runs"
        if wish.told - known:
            yield LOST, "a submit was answered with a run that does not exist"
        if wish.wished and wish.inputs is not None:
            status = type(wish.inputs).objects.filter(pk=wish.inputs.pk).values_list("status")
            if list(status) == [("pending",)]:
                yield STUCK, "inputs wait for their check for ever"
            elif list(status) == [("valid",)] and not made:
                yield LOST, "valid inputs whose wish to be run was forgotten"
        elif made and not type(wish.inputs).objects.filter(pk=wish.inputs.pk, status="valid"):
            yield LOST, "inputs of a run were removed"
    if len(known) > len(evidence.wishes):
        yield DOUBLE, f"{len(known)} runs of {len(evidence.wishes)} wishes"


def _money(evidence: Evidence) -> Iterator[Finding]:
    records = Counter(UsageRecord.objects.values_list("run", flat=True))
    quantities = dict(UsageRecord.objects.values_list("run", "quantity"))
    written = Counter(entry.run for entry in evidence.journal if entry.source == "usage")
    held = dict(Reservation.objects.values_list("run", "settled_amount"))
    for run in evidence.runs:
        number, paid = records[run.pk], run.status == "succeeded"
        if paid and not number:
            yield LOST, "a success without a usage record"
        if number > 1 or written[run.pk] > 1:
            yield DOUBLE, "a run with two usage records"
        if number and not paid:
            yield WRONG, f"a usage record of a run that is {run.status}"
        if run.status in ENDS and held.get(run.pk, 0) is None:
            yield LOST, f"what a run that is {run.status} held has not been given back"
        if paid:
            cost = (Decimal(run.run_time) * world.USD_PER_HOUR / 3600).quantize(Decimal("0.000001"))
            if (run.run_cost, held.get(run.pk)) != (cost, cost):
                yield WRONG, f"cost {run.run_cost}, settled {held.get(run.pk)}, not {cost}"
            if number and quantities[run.pk] != cost * 1_000_000:
                yield WRONG, f"{quantities[run.pk]} units for a cost of {cost}"


def _stuck(evidence: Evidence) -> Iterator[Finding]:
    if not evidence.idle:
        yield STUCK, "there was still something to do after the drain"
    for run in evidence.runs:
        if run.status not in ENDS:
            yield STUCK, f"a run is {run.status}{', held' * run.held} for ever"


def _limits(evidence: Evidence) -> Iterator[Finding]:
    """Replays who was under way when: never more of one owner than their limit."""
    under_way: dict[int, set[uuid.UUID]] = defaultdict(set)
    for entry in evidence.journal:
        if entry.source != "run":
            continue
        owner = entry.new["owner_id"]
        if entry.new["held"] or entry.new["status"] in ENDS:
            under_way[owner].discard(entry.run)
        else:
            under_way[owner].add(entry.run)
        limit = evidence.limits.get(owner)
        if limit is not None and len(under_way[owner]) > limit:
            yield WRONG, f"{len(under_way[owner])} runs under way of an owner who may have {limit}"


def _moves(entries: list[Entry]) -> Iterator[Finding]:
    ends = 0
    for entry in entries:
        old, new = entry.old.get("status"), entry.new["status"]
        if old in ENDS:
            names = OUTCOME if entry.new["outputs_pruned_at"] else (*OUTCOME, "outputs")
            if any(entry.old[name] != entry.new[name] for name in names):
                yield WRONG, f"a run that had ended as {old} was changed to {new}"
            continue
        ends += new in ENDS
        if old is not None and old != new and new not in MOVES[old]:
            yield WRONG, f"an illegal move from {old} to {new}"
        if entry.old.get("cancel_requested_at") and new == "queued":
            yield WRONG, "a run that was to be cancelled is queued again"
    if ends > 1:
        yield DOUBLE, f"a run ended {ends} times"


def _leases(entries: list[Entry]) -> Iterator[Finding]:
    """Each claim is an attempt of its own under a token of its own."""
    tokens, last = set(), 0
    for entry in entries:
        if entry.old and (entry.old["status"], entry.new["status"]) == ("queued", "running"):
            token, attempt = entry.new["lease_token"], entry.new["attempt"]
            if token is None or token in tokens:
                yield DOUBLE, "two claims of a run under one token"
            if attempt <= last:
                yield DOUBLE, f"attempt {attempt} was begun twice"
            tokens.add(token)
            last = attempt
        elif entry.old.get("lease_token") not in (None, entry.new["lease_token"]) and (
            entry.new["status"] == "running"
        ):
            yield WRONG, "a lease changed hands while it was held"


def _writer(roles: dict[str, str], entries: list[Entry], entry: Entry) -> Iterator[Finding]:
    """Whoever writes as the holder of a lease must be the one who claimed it."""
    old, new = entry.old.get("status"), entry.new["status"]
    role = roles.get(entry.writer)
    if old != "running" or role is None:
        return
    claims = [e for e in entries if e.new["lease_token"] == entry.old["lease_token"]]
    holder = claims[0].writer == entry.writer if claims else False
    beat = new == "running" and entry.old["lease_expires_at"] != entry.new["lease_expires_at"]
    if (new in TOLD or beat) and role != "clock" and not holder:
        yield WRONG, f"{role} wrote {'a heartbeat' if beat else new} for somebody else's attempt"
    silent = entry.expired and role in ("caretaker", "clock")
    # A worker that gives its run back, an operator, or the reaper of one that fell silent.
    if new in {"queued", "lost", "cancelled"} and not (holder or silent or role == "operator"):
        yield WRONG, f"{role} took a run from its worker, whose lease {_word(entry)}: {new}"


def _word(entry: Entry) -> str:
    return "had run out" if entry.expired else "still held"


def _outcome(run: Any, entries: list[Entry]) -> Iterator[Finding]:
    """What is stored belongs to the attempt that ended the run, down to the bytes."""
    ends = [entry for entry in entries if entry.new["status"] in ENDS and entry.old]
    if run.status != "succeeded" or not ends:
        if run.outputs or run.run_cost:
            yield WRONG, f"a run that is {run.status} has outputs or a cost"
        return
    last = ends[0].old
    attempt, token = last["attempt"], uuid.UUID(str(last["lease_token"] or uuid.UUID(int=0)))
    told = (float(run.run_time), run.upstream_version, run.attempt)
    if told != (world.seconds_of(attempt), world.version_of(attempt), attempt):
        yield WRONG, f"{told} is not the outcome of attempt {attempt}"
    if not run.outputs:
        yield LOST, "a success without its outputs"
    if run.outputs_pruned_at is not None:
        return
    for number, entry in enumerate(run.outputs, start=1):
        try:
            with default_storage.open(entry["path"]) as file:
                stored = file.read()
        except OSError:
            yield LOST, f"the file of output {number} is gone"
            continue
        if stored != world.content_of(run.pk, attempt, token, number):
            yield WRONG, f"output {number} is not that of attempt {attempt}"


def _interruptions(run: Any, entries: list[Entry]) -> Iterator[Finding]:
    """Whatever was taken from a worker is noted, once, and nothing else is."""
    taken = {
        entry.old["attempt"]
        for entry in entries
        if entry.old.get("status") == "running" and entry.new["status"] in {"queued", "lost"}
    }
    noted = Counter(Attempt.objects.filter(run=run.pk).values_list("number", flat=True))
    cancelled = run.status == "cancelled"
    if taken - set(noted) or (set(noted) - taken and not cancelled):
        yield WRONG, f"attempts {sorted(taken)} were taken back, {sorted(noted)} are noted"


def _files(evidence: Evidence) -> Iterator[Finding]:
    """Nothing lies about that belongs to no run."""
    if not evidence.swept:
        return
    kept = [run for run in evidence.runs if run.outputs_pruned_at is None]
    listed = {entry["path"] for run in kept for entry in run.outputs}
    orphans = [path for path in evidence.files if path not in listed]
    if orphans:
        yield STUCK, f"{len(orphans)} files of interrupted attempts were left"
